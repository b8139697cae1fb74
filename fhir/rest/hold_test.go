package rest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
)

// TestHold: answers of absence that took longer or shorter to find out leave at
// the same time, and the next step is for those that missed it.
func TestHold(t *testing.T) {
	s := &Server{cfg: Config{AbsenceGrid: 10 * time.Millisecond}}
	for took, want := range map[time.Duration]time.Duration{
		0: 10 * time.Millisecond, 3 * time.Millisecond: 10 * time.Millisecond, 9 * time.Millisecond: 10 * time.Millisecond, 11 * time.Millisecond: 20 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			s.hold(now.Add(-took))
			if left := time.Since(now) + took; left != want {
				t.Errorf("after %v: left at %v, want %v", took, left, want)
			}
		})
	}
}

// TestHoldOnce: what the gate held is not held again, however long it took to record.
func TestHoldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{cfg: Config{AbsenceGrid: 10 * time.Millisecond}}
		x, began := new(exchange), time.Now()
		hold := s.holding(x)
		time.Sleep(3 * time.Millisecond)
		x.request.Hold()
		time.Sleep(4 * time.Millisecond)
		if hold(); time.Since(began) != 14*time.Millisecond {
			t.Errorf("left after %v", time.Since(began))
		}
	})
}

// TestHoldInBatch: each entry that is not there leaves on the grid, so that many
// of them add up to nothing.
func TestHoldInBatch(t *testing.T) {
	for _, takes := range [][]time.Duration{{0, 0, 0}, {3 * time.Millisecond, 9 * time.Millisecond, 4 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			s := &Server{cfg: Config{AbsenceGrid: 10 * time.Millisecond, Now: time.Now}, clients: newClients(0, 0, 0)}
			n := 0
			s.table = []interaction{{name: "read", method: "GET", pattern: "/x", handle: func(*Server, context.Context, *exchange) (answer, error) {
				time.Sleep(takes[n])
				n++
				return answer{}, gate.ErrNotFound
			}}}
			began := time.Now()
			for i := range takes {
				out := s.batchEntry(t.Context(), nil, &exchange{row: &s.table[0]}, &asked{index: i, method: "GET", path: "x"})
				if !strings.Contains(string(out), `"status":"404 Not Found"`) {
					t.Fatalf("entry %d: %s", i, out)
				}
			}
			if took := time.Since(began); took != 30*time.Millisecond {
				t.Errorf("entries that took %v left after %v", takes, took)
			}
		})
	}
}

// anybody takes whoever comes for the custodian.
type anybody struct{}

func (anybody) Verify(context.Context, string, time.Time) (smart.Token, error) {
	return smart.Token{Kind: smart.KindCustodian, Client: "c", Purposes: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ActReason", Code: "HSYSADMIN"}}}, nil
}

// porch is one that holds answers of absence for ten milliseconds.
func porch(t *testing.T) *Server {
	t.Helper()
	definitions, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	indexer, err := search.NewIndexer(definitions, "https://nehr.example/fhir")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{BaseURL: "https://nehr.example/fhir", AbsenceGrid: 10 * time.Millisecond},
		Tools{Definitions: definitions, Parser: indexer.Parser()}, gate.New(gate.Config{}, gate.Tools{Definitions: definitions, Indexer: indexer, Parser: indexer.Parser()}, nil), anybody{})
	if err != nil {
		t.Fatal(err)
	}
	s.nap = nil // the clock is the test's
	return s
}

// slow is a body whose only byte comes late.
type slow struct{ by time.Duration }

func (b *slow) Read(p []byte) (int, error) {
	if b.by == 0 {
		return 0, io.EOF
	}
	time.Sleep(b.by)
	b.by = 0
	return copy(p, "x"), nil
}

// TestSlowBodiesMoveNoStep: the steps are from when the body was there, however long
// the client took over it: else it would choose where in a step the finding out ends,
// and be told by which step it is how long that took.
func TestSlowBodiesMoveNoStep(t *testing.T) {
	s := porch(t)
	for _, takes := range []time.Duration{time.Millisecond, 4 * time.Millisecond} {
		for _, after := range []time.Duration{time.Millisecond, 7 * time.Millisecond, 25 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				row := &interaction{name: "search-system", method: http.MethodPost, pattern: "/_search", body: bodyForm, handle: func(*Server, context.Context, *exchange) (answer, error) {
					time.Sleep(takes)
					return answer{}, gate.ErrNotFound
				}}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/fhir/_search", &slow{after})
				r.Header.Set("Authorization", "Bearer x")
				r.Header.Set("Content-Type", mediaForm)
				began := time.Now()
				if w := s.asked(row, r); w.Code != http.StatusNotFound || time.Since(began) != after+10*time.Millisecond {
					t.Errorf("%d after %v, of which the body took %v", w.Code, time.Since(began), after)
				}
			})
		}
	}
}

// TestWhoLeavesIsHeld: a client that closes its side of the connection may read on. It
// ends no wait, nor is it told by when it is answered how far the finding out was.
func TestWhoLeavesIsHeld(t *testing.T) {
	s := porch(t)
	for _, takes := range []time.Duration{0, 3 * time.Millisecond, 8 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			row := interaction{name: "read", method: http.MethodGet, pattern: "/x", open: true, handle: func(_ *Server, ctx context.Context, _ *exchange) (answer, error) {
				select {
				case <-time.After(takes):
					return answer{}, gate.ErrNotFound
				case <-ctx.Done():
					return answer{}, gate.ErrUnavailable
				}
			}}
			ctx, leave := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer leave()
			began := time.Now()
			s.asked(&row, httptest.NewRequestWithContext(ctx, http.MethodGet, "/fhir/x", http.NoBody))
			if left := time.Since(began); left != 10*time.Millisecond {
				t.Errorf("what takes %v: left after %v", takes, left)
			}
			row.open = false
			s.table = []interaction{row}
			ctx, leave = context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer leave()
			began = time.Now()
			s.batchEntry(ctx, nil, &exchange{row: &row}, &asked{method: "GET", path: "x"})
			if left := time.Since(began); left != 10*time.Millisecond {
				t.Errorf("what takes %v, in a batch: left after %v", takes, left)
			}
		})
	}
}

// asked is the answer of a row to a request.
func (s *Server) asked(row *interaction, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	c := gin.CreateTestContextOnly(w, s.engine)
	c.Request = r
	s.serve(row)(c)
	return w
}
