package conformance

import (
	"net/http"
	"strings"
)

// exported compares what a patient exports: the manifest, and every file of it. Events
// have ids and instants of their own in each world: of them the count must be the same,
// until it was asked how far an export is, as often as it took.
func (p *pair) exported() {
	token := p.one.patient(p.t, bystander.id)
	of := caller{name: "another patient", token: token}
	for _, path := range []string{"Patient/$export", "Patient/" + bystander.id + "/$export?_elements=id,status&_type=Patient,AllergyIntolerance,Condition,Encounter"} {
		r := get(path)
		a, ok := p.both(of, r, r, r, "kick-off")
		if !ok || a[0].status != http.StatusAccepted {
			p.t.Errorf("%s: %d\n%s", path, a[0].status, a[0].body)
			return
		}
		var status [2]request
		var files [2][]any
		for world, s := range []*server{p.one, p.two} {
			at := s.local(a[world].header.Get("Content-Location"))
			status[world] = get(at)
			files[world] = list(s.finished(p.t, token, at), "output")
		}
		if _, ok := p.both(of, r, status[0], status[1], "manifest"); !ok || len(files[0]) < 3 {
			p.t.Errorf("%s: %d files", path, len(files[0]))
			return
		}
		for i := range files[0] {
			if text(files[0][i], "type") == "AuditEvent" {
				continue
			}
			a := [2]answer{}
			for world, s := range []*server{p.one, p.two} {
				a[world] = p.ask(world, token, get(s.local(text(files[world][i], "url"))))
				a[world].header.Del("Etag") // of bytes with instants in them
				a[world].header.Del("Content-Length")
			}
			p.count++
			if x, y := p.alike(a); x != y || a[0].status != http.StatusOK || strings.Count(x, "\n") < 5 {
				p.t.Errorf("%s: file %d\n--- with hidden data\n%.1500s\n--- without\n%.1500s", path, i, x, y)
			}
		}
	}
}
