package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// transfer moves an amount from one account to another, if neither was written
// since all were looked at.
func (c *tester) transfer() bool {
	one := c.start("transaction: GET all accounts")
	one.total = true
	var looks []json.RawMessage
	for i := range accountsInPlay {
		looks = append(looks, entry(http.MethodGet, "Observation/"+account(i), "", nil))
	}
	parts, answered := c.transact(one, looks...)
	if parts == nil {
		return answered
	}
	for _, p := range parts {
		one.touches = append(one.touches, c.seen(p.Resource))
	}
	if !c.close(one) {
		return true
	}
	i := c.rnd.IntN(accountsInPlay)
	j := (i + 1 + c.rnd.IntN(accountsInPlay-1)) % accountsInPlay
	amount := 1 + c.rnd.IntN(9)
	from, to := one.touches[i], one.touches[j]
	two := c.start("transaction: transfer",
		touch{act: put, resource: from.resource, match: from.version}, touch{act: put, resource: to.resource, match: to.version})
	parts, answered = c.transact(two, c.deposit(two, i, from, -amount), c.deposit(two, j, to, amount))
	if parts == nil {
		return answered
	}
	c.told(two, parts)
	c.close(two)
	return true
}

// deposit writes an account on the version that was seen.
func (c *tester) deposit(one *call, i int, seen touch, amount int) json.RawMessage {
	return entry(http.MethodPut, "Observation/"+account(i), fmt.Sprintf(`,"ifMatch":"W/\"%d\""`, seen.version),
		content("account", account(i), account(i), one.mark, seen.value+amount))
}

// told notes the versions that a transaction wrote, whose entries come first.
func (c *tester) told(one *call, parts []part) {
	for i := range one.touches {
		t := &one.touches[i]
		t.version, t.created = tag(parts[i].Response.Etag), strings.HasPrefix(parts[i].Response.Status, "201")
		c.saw(t.resource, t.version)
	}
}

// mixed writes two slots, one of them by a condition, makes what must be made
// once, and reads an account and everything else, in one transaction.
func (c *tester) mixed() bool {
	i, j := 1+c.rnd.IntN(slotsInPlay-1), 0
	one := c.start("transaction: slots, once, reads",
		touch{act: put, resource: "Observation/" + slot(i)}, touch{act: put, resource: "Observation/" + slot(j)})
	key := (c.asked.Add(1) - 1) / int64(c.quarrel)
	key -= key % 2 // the custodian's
	one.condition, _ = c.conditionOf(key)
	_, register, _ := strings.Cut(one.condition, "|")
	parts, answered := c.transact(
		one,
		entry(http.MethodPut, "Observation/"+slot(i), "", content("slot", slot(i), slot(i), one.mark, c.rnd.IntN(1000))),
		entry(http.MethodPut, "Observation?identifier="+registerSystem+"|"+slot(j), "", content("slot", slot(j), slot(j), one.mark, c.rnd.IntN(1000))),
		entry(http.MethodPost, "Observation", `,"ifNoneExist":"identifier=`+one.condition+`"`, content("key", "", register, one.mark, 0)),
		entry(http.MethodGet, "Observation/"+account(c.rnd.IntN(accountsInPlay)), "", nil),
		entry(http.MethodGet, "Observation?code="+kindSystem+"|account,"+kindSystem+"|slot", "", nil),
	)
	if parts == nil {
		return answered
	}
	c.told(one, parts)
	one.matched(parts[2].Response.Location, "", strings.HasPrefix(parts[2].Response.Status, "201"))
	one.touches = append(one.touches, c.seen(parts[3].Resource))
	one.touches = append(one.touches, c.seenAll(parts[4].Resource)...)
	one.total = true
	c.close(one)
	return true
}

// settled reads, when nothing is under way any more, what there is in the end.
func (b *bench) settled(s *server) error {
	b.past, b.found = map[string][]version{}, map[string][]string{}
	c := &tester{bench: b, s: s}
	for i := range accountsInPlay {
		if err := c.history("Observation/" + account(i)); err != nil {
			return err
		}
	}
	for i := range slotsInPlay {
		if err := c.history("Observation/" + slot(i)); err != nil {
			return err
		}
	}
	for key := range (b.asked.Load() + int64(b.quarrel) - 1) / int64(b.quarrel) {
		condition, _ := b.conditionOf(key)
		b.found[condition] = []string{}
	}
	return c.matches()
}

// pages reads every page of a Bundle.
func (c *tester) pages(token, path string, take func(body []byte) error) error {
	for path != "" {
		a, err := c.s.try(token, get(path))
		if err != nil {
			return err
		}
		if a.status == http.StatusNotFound {
			return nil // it was never there
		}
		if a.status != http.StatusOK {
			return fmt.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if err := take(a.body); err != nil {
			return err
		}
		var bundle struct {
			Link []struct{ Relation, URL string }
		}
		if err := json.Unmarshal(a.body, &bundle); err != nil {
			return err
		}
		path = ""
		for _, l := range bundle.Link {
			if l.Relation == "next" {
				path = c.s.local(l.URL)
			}
		}
	}
	return nil
}

// history reads all versions of a resource.
func (c *tester) history(name string) error {
	var newestFirst []version
	var numbers []int
	err := c.pages(c.token, name+"/_history?_count=1000", func(body []byte) error {
		var bundle struct {
			Entry []struct {
				Resource json.RawMessage
				Request  struct{ Method string }
				Response struct{ Etag string }
			}
		}
		if err := json.Unmarshal(body, &bundle); err != nil {
			return err
		}
		for _, e := range bundle.Entry {
			v := version{gone: e.Request.Method == http.MethodDelete}
			if !v.gone {
				t := c.seen(e.Resource)
				v.mark, v.value = t.mark, t.value
			}
			newestFirst, numbers = append(newestFirst, v), append(numbers, tag(e.Response.Etag))
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Reverse(newestFirst)
	slices.Reverse(numbers)
	for i, n := range numbers {
		if n != i+1 {
			return fmt.Errorf("the history of %s has the versions %v", name, numbers)
		}
	}
	c.past[name] = newestFirst
	return nil
}

// matches reads what the conditions match.
func (c *tester) matches() error {
	return c.pages(c.token, "Observation?code="+kindSystem+"|key&_count=1000", func(body []byte) error {
		var bundle struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(body, &bundle); err != nil {
			return err
		}
		for _, e := range bundle.Entry {
			var o struct {
				Identifier []struct{ System, Value string }
			}
			if err := json.Unmarshal(e.Resource, &o); err != nil {
				return err
			}
			t := c.seen(e.Resource)
			if t.version != 1 {
				return fmt.Errorf("%s is at version %d", t.resource, t.version)
			}
			c.past[t.resource] = []version{{mark: t.mark, value: t.value}}
			for _, i := range o.Identifier {
				if i.System == registerSystem {
					condition := registerSystem + "|" + i.Value
					c.found[condition] = append(c.found[condition], t.resource)
				}
			}
		}
		return nil
	})
}
