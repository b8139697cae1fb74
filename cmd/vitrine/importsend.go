package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"vitrine/fhir"
)

// The size of the transactions that loose resources are put into.
const (
	batchEntries = 100
	batchBytes   = 4 << 20
)

// sender keeps several requests under way. It is used by one goroutine, which
// reads, and has workers that send.
type sender struct {
	ctx     context.Context //nolint:containedctx // ends the workers; the sender lives no longer than one call of load
	cancel  context.CancelCauseFunc
	target  *target
	report  *report
	jobs    chan job
	workers sync.WaitGroup
	// held are loose resources that wait for company.
	held  []loose
	bytes int
	// whole says that what is added belongs together, however much it is.
	whole bool
}

// job is one request: a Bundle as it was found, or loose resources.
type job struct {
	bundle *bundle
	loose  []loose
}

// bundle is a transaction or batch from a file.
type bundle struct {
	origin
	text  []byte
	batch bool
	// types are those of the resources, by entry.
	types []string
}

func bundleOf(tape *fhir.Tape, d document) job {
	b := &bundle{origin: d.origin, text: append([]byte(nil), d.text...)}
	b.batch = tape.Text(tape.Field(tape.Root(), "type")) == "batch"
	for e := tape.First(tape.Field(tape.Root(), "entry")); e != fhir.None; e = tape.Next(e) {
		b.types = append(b.types, tape.Text(tape.Field(tape.Field(e, "resource"), "resourceType")))
	}
	return job{bundle: b}
}

func startSender(ctx context.Context, t *target, workers int, r *report) *sender {
	s := &sender{target: t, report: r, jobs: make(chan job)}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for range workers {
		s.workers.Go(func() {
			for j := range s.jobs {
				if err := s.do(j); err != nil {
					s.cancel(err)
				}
			}
		})
	}
	return s
}

// add holds a resource until there are enough for a transaction.
func (s *sender) add(l loose) error {
	if l.typ == "" || (l.id != "" && !fhir.ValidID(l.id)) {
		s.report.refuse(refusal{origin: l.origin, typ: l.typ, reason: "not a resource with a resourceType and a valid id"})
		return nil
	}
	s.held = append(s.held, l)
	s.bytes += len(l.text)
	if !s.whole && (len(s.held) >= batchEntries || s.bytes >= batchBytes) {
		return s.flush()
	}
	return nil
}

// flush sends what is held.
func (s *sender) flush() error {
	held := s.held
	s.held, s.bytes = nil, 0
	if len(held) == 0 {
		return nil
	}
	return s.send(job{loose: held})
}

// send waits for a worker: no more is read than is being sent.
func (s *sender) send(j job) error {
	select {
	case s.jobs <- j:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// finish sends the rest and waits for all answers.
func (s *sender) finish() error {
	err := s.flush()
	close(s.jobs)
	s.workers.Wait()
	if e := context.Cause(s.ctx); err == nil {
		err = e
	}
	s.cancel(nil)
	return err
}

// rounds is how often a transaction is sent again without what was refused of
// it, before its resources are sent one by one.
const rounds = 4

// do makes one request, or several where a transaction was refused for some of
// its resources: the rest goes again without those that the server names. An
// error is one of the connection and ends the import.
func (s *sender) do(j job) error {
	if j.bundle != nil {
		return s.doBundle(j.bundle)
	}
	rest := j.loose
	for range rounds {
		a, err := s.target.call(s.ctx, http.MethodPost, "", transactionOf(rest))
		if err != nil {
			return err
		}
		if a.ok() {
			for _, l := range rest {
				s.report.accept(l.typ)
			}
			return nil
		}
		why := a.entryRefusals(rest)
		if why == nil {
			break // it is not said which
		}
		if rest = s.without(rest, why); len(rest) == 0 {
			return nil
		}
	}
	for _, l := range rest {
		if err := s.doOne(l); err != nil {
			return err
		}
	}
	return nil
}

// without reports the resources that were refused, by their place, and returns
// the others.
func (s *sender) without(list []loose, why map[int][]refusal) []loose {
	var rest []loose
	for i, l := range list {
		if why[i] == nil {
			rest = append(rest, l)
			continue
		}
		for _, r := range why[i] {
			r.origin, r.typ = l.origin, l.typ
			s.report.refuse(r)
		}
		s.report.lost(1)
	}
	return rest
}

func (s *sender) doOne(l loose) error {
	method, path := http.MethodPost, "/"+l.typ
	if l.id != "" {
		method, path = http.MethodPut, path+"/"+l.id
	}
	a, err := s.target.call(s.ctx, method, path, l.text)
	if err != nil {
		return err
	}
	if a.ok() {
		s.report.accept(l.typ)
		return nil
	}
	for _, r := range a.refusals() {
		r.origin, r.typ = l.origin, l.typ
		s.report.refuse(r)
	}
	s.report.lost(1)
	return nil
}

func (s *sender) doBundle(b *bundle) error {
	a, err := s.target.call(s.ctx, http.MethodPost, "", b.text)
	if err != nil {
		return err
	}
	if a.ok() && b.batch {
		return s.batchAnswer(b, a)
	}
	if a.ok() {
		for _, typ := range b.types {
			s.report.accept(typ)
		}
		return nil
	}
	for _, r := range a.refusals() {
		r.origin = b.origin
		if n, ok := entryOf(r.expression); ok && n < len(b.types) {
			r.entry, r.typ = n+1, b.types[n]
		}
		s.report.refuse(r)
	}
	s.report.lost(len(b.types))
	return nil
}

// batchAnswer looks at what became of each entry.
func (s *sender) batchAnswer(b *bundle, a *answer) error {
	entries, err := a.entries()
	if err != nil || len(entries) != len(b.types) {
		return errors.New("the server's answer to a batch cannot be read")
	}
	for i, e := range entries {
		if strings.HasPrefix(e.Response.Status, "2") {
			s.report.accept(b.types[i])
			continue
		}
		for _, r := range e.Response.Outcome.refusals(e.Response.Status) {
			r.origin, r.typ = origin{b.file, i + 1}, b.types[i]
			s.report.refuse(r)
		}
		s.report.lost(1)
	}
	return nil
}

// transactionOf makes a transaction of loose resources.
func transactionOf(list []loose) []byte {
	text := []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i, l := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '{')
		if l.fullURL != "" {
			text = append(text, `"fullUrl":`...)
			text = append(fhir.AppendString(text, l.fullURL), ',')
		}
		text = append(append(text, `"resource":`...), l.text...)
		method, url := http.MethodPost, l.typ
		if l.id != "" {
			method, url = http.MethodPut, l.typ+"/"+l.id
		}
		text = append(append(text, `,"request":{"method":"`...), method...)
		text = fhir.AppendString(append(text, `","url":`...), url)
		text = append(text, `}}`...)
	}
	return append(text, `]}`...)
}
