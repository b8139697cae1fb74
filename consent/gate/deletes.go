package gate

import (
	"context"
	"net/http"
	"strconv"

	"vitrine/fhir"
	"vitrine/fhir/search"
)

// removeAll deletes everything of the caller's own that a condition matches, or
// nothing where that is more than one delete may. How many there are it says of
// what the caller could find one by one. A version that is required is one
// resource's.
func (w *writing) removeAll(ctx context.Context, q *search.Query, ifMatch string) (Item, error) {
	most := w.g.cfg.DeleteMost
	found, err := w.matchingMost(ctx, w.partition(), q, most+1)
	if err != nil {
		return Item{}, err
	}
	if len(found) > most {
		return Item{}, invalid(http.StatusPreconditionFailed, fhir.CodeTooCostly,
			"the condition matches more than the "+strconv.Itoa(most)+" resources that one delete may delete; nothing was deleted: it needs a narrower criterion", "")
	}
	if ifMatch != "" && len(found) != 1 {
		return Item{}, ErrPrecondition
	}
	out := Item{Status: http.StatusNoContent, Several: true, Count: len(found)}
	for i := range found {
		if _, err := w.remove(ctx, q.Type, found[i].ID, ifMatch); err != nil {
			return Item{}, err
		}
		out.deleted = append(out.deleted, string(q.Type)+"/"+found[i].ID)
	}
	return out, nil
}

// apart refuses a transaction of which one entry deleted several resources and
// another is about one of them (R4 http.html#trules).
func (p *plan) apart(matched map[int]string, items []Item) error {
	gone := map[string]int{}
	for i := range items {
		for _, ref := range items[i].deleted {
			gone[ref] = i
		}
	}
	for i := range p.steps {
		s := &p.steps[i]
		id, ok := matched[i]
		if !ok {
			id = s.id
		}
		if by, also := gone[string(s.entry.Type)+"/"+id]; also && by != i && s.entry.Interaction.Write {
			return &EntryError{Index: i, Err: invalid(http.StatusBadRequest, fhir.CodeDuplicate,
				"a transaction is about a resource once only; another entry deletes this one", "")}
		}
	}
	return nil
}
