package embedded

import (
	"path/filepath"
	"strconv"
	"testing"

	"vitrine/consent"
	"vitrine/store"
)

// What labels hide costs a count nothing: else it would tell, by when it becomes
// too costly, how much there is.
func TestHiddenRowsCostACountNothing(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{ScanBudget: 5})
	for i := range 20 * cheaper {
		p := small("o"+strconv.Itoa(i), "1")
		if i >= 3 {
			p.Labels = []string{"hidden"}
		}
		put(t, db, p)
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	u := consent.Everything().Where(func(r consent.Row) bool { return len(r.Labels) == 0 })
	page, err := s.Search(t.Context(), u, observations(), store.PageRequest{Limit: 1, Count: true})
	if err != nil || page.Total != 3 {
		t.Errorf("got %d, %v, want 3", page.Total, err)
	}
}
