package rest

import (
	"strconv"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// hint is the constant entry of a Bundle about one patient who restricts
// access: that it is so, and never what there is (DOSSIER §7.9; the form is
// R4's example operationoutcome-example-break-the-glass). Every entry of a
// searchset has a fullUrl; this one's is constant too.
const hint = `{"fullUrl":"urn:uuid:5f0c1d7a-6b39-4e4e-9a51-2c8d1e7b4f60","resource":{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"suppressed",` +
	`"details":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"ETREAT"}],` +
	`"text":"The patient restricts access to this record. In an emergency, breaking the glass may be open."}}]},` +
	`"search":{"mode":"outcome"}}`

// perEntry is about what an entry of a Bundle takes beside its resource.
const perEntry = 192

// appendSearchset appends a Bundle of type searchset, by copying bytes (R4
// bundle.html#searchset).
func (s *Server) appendSearchset(dst []byte, a *answer) []byte {
	items := a.released.Items()
	dst = s.appendOpening(grown(dst, items), a, "searchset")
	n := len(items)
	for i := range items {
		dst = s.appendFullURLOf(appendComma(dst, i), &items[i])
		dst = append(dst, `,"resource":`...)
		dst = s.appendShaped(dst, a.shape, items[i].Resource.JSON)
		dst = append(dst, `,"search":{"mode":"`...)
		dst = append(dst, mode(items[i].Mode)...)
		dst = append(dst, `"}}`...)
	}
	if a.released.Hint() {
		dst = append(appendComma(dst, n), hint...)
		n++
	}
	if a.released.Partial() {
		dst = append(appendComma(dst, n), partial...)
		n++
	}
	if plan := a.released.Plan(); len(plan) > 0 {
		dst = appendPlan(appendComma(dst, n), plan)
		n++
	}
	return appendClosing(dst, n)
}

// partial is the constant entry of a Bundle with which more was to be included
// than it may hold.
const partial = `{"fullUrl":"urn:uuid:0b6a2f0c-94de-4d64-8d0f-6f1a35c7e2b9","resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"too-costly",` +
	`"details":{"text":"More was to be included than an answer may hold: not all of it is here. A smaller _count, or a search for what was to be included, gives the rest."}}]},` +
	`"search":{"mode":"outcome"}}`

// appendPlan appends the entry that tells the custodian how the store went about
// a search.
func appendPlan(dst []byte, plan []string) []byte {
	dst = append(dst, `{"fullUrl":"urn:uuid:b2c1f5de-07a3-4a55-9c0e-1f4d7a9be860","resource":{"resourceType":"OperationOutcome","issue":[`...)
	for i, line := range plan {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"severity":"information","code":"informational","diagnostics":`...)
		dst = append(fhir.AppendString(dst, line), '}')
	}
	return append(dst, `]},"search":{"mode":"outcome"}}`...)
}

// appendHistory appends a Bundle of type history, newest first (R4
// http.html#history).
func (s *Server) appendHistory(dst []byte, a *answer) []byte {
	items := a.released.Items()
	dst = s.appendOpening(grown(dst, items), a, "history")
	for i := range items {
		dst = s.appendVersion(appendComma(dst, i), &items[i].Resource)
	}
	return appendClosing(dst, len(items))
}

// appendVersion appends one version as the request that made it.
func (s *Server) appendVersion(dst []byte, r *fhir.Resource) []byte {
	dst = s.appendFullURL(dst, r)
	method, place, status := "PUT", string(r.Type)+"/"+r.ID, "200 OK"
	switch {
	case r.Deleted:
		method, status = "DELETE", "204 No Content"
	case r.Version == "1" || r.Version == "b1":
		method, place, status = "POST", string(r.Type), "201 Created"
	}
	if !r.Deleted {
		dst = append(dst, `,"resource":`...)
		dst = append(dst, r.JSON...)
	}
	dst = append(dst, `,"request":{"method":"`+method+`","url":"`+place+`"},"response":{"status":"`+status+`"`...)
	dst = appendVersionHeaders(dst, r)
	return append(dst, `}}`...)
}

// appendVersionHeaders appends what ETag and Last-Modified would say.
func appendVersionHeaders(dst []byte, r *fhir.Resource) []byte {
	dst = append(dst, `,"etag":"W/\"`...)
	dst = append(dst, r.Version...)
	dst = append(dst, `\"","lastModified":"`...)
	dst = fhir.AppendInstant(dst, r.Updated)
	return append(dst, '"')
}

// appendOpening appends a Bundle up to and without its entries.
func (s *Server) appendOpening(dst []byte, a *answer, kind string) []byte {
	dst = append(dst, `{"resourceType":"Bundle","type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, '"')
	total := a.released.Total()
	if total < 0 && a.whole && a.released.Next() == "" {
		total = matches(a.released.Items()) // it costs nothing to say, and clients look for it
	}
	if total >= 0 {
		dst = append(dst, `,"total":`...)
		dst = strconv.AppendInt(dst, int64(total), 10)
	}
	dst = append(dst, `,"link":[{"relation":"self","url":`...)
	dst = fhir.AppendString(dst, s.link(a, ""))
	return append(s.appendPages(dst, a), `}]`...)
}

// appendPages appends the links to the other pages, where there are any. Which
// page is the last is known of the last one alone.
func (s *Server) appendPages(dst []byte, a *answer) []byte {
	next, previous := a.released.Next(), a.released.Previous()
	link := func(relation, cursor string) {
		dst = append(append(dst, `},{"relation":"`...), relation...)
		dst = fhir.AppendString(append(dst, `","url":`...), s.link(a, cursor))
	}
	if a.form == formSearchset && (next != "" || a.cursor != "") {
		link("first", "")
	}
	if previous != "" {
		link("previous", previous)
	}
	if next != "" {
		link("next", next)
	} else if a.form == formSearchset && a.cursor != "" {
		link("last", a.cursor)
	}
	return dst
}

// matches counts what was found, without what comes with it.
func matches(items []gate.Item) int {
	n := 0
	for i := range items {
		if items[i].Mode != gate.ModeInclude {
			n++
		}
	}
	return n
}

// link is the absolute address of the Bundle, or of the page at the cursor.
func (s *Server) link(a *answer, cursor string) string {
	out, joint := s.cfg.BaseURL, "?"
	if a.at != "" {
		out += "/" + a.at
	}
	if a.self != "" {
		out, joint = out+joint+a.self, "&"
	}
	if cursor != "" {
		out += joint + "_cursor=" + escape(cursor)
	}
	return out
}

// appendFullURL opens an entry.
func (s *Server) appendFullURL(dst []byte, r *fhir.Resource) []byte {
	dst = append(dst, `{"fullUrl":`...)
	dst = append(dst, s.base...)
	dst = append(dst, r.Type...)
	dst = append(dst, '/')
	dst = append(dst, r.ID...)
	return append(dst, '"')
}

// appendFullURLOf opens the entry of an item: what is contained has no address
// but within its container (R4 search.html#contained).
func (s *Server) appendFullURLOf(dst []byte, item *gate.Item) []byte {
	if item.Within == "" {
		return s.appendFullURL(dst, &item.Resource)
	}
	dst = append(dst, `{"fullUrl":`...)
	return fhir.AppendString(dst, s.cfg.BaseURL+"/"+item.Within+"#"+item.Resource.ID)
}

// appendComma opens the list of entries before the first, and goes on with it
// before the others.
func appendComma(dst []byte, i int) []byte {
	if i == 0 {
		return append(dst, `,"entry":[`...)
	}
	return append(dst, ',')
}

// appendClosing closes a Bundle of n entries; R4 has no empty lists.
func appendClosing(dst []byte, n int) []byte {
	if n == 0 {
		return append(dst, '}')
	}
	return append(dst, `]}`...)
}

// mode is search.mode; a resource is a match unless the gate says otherwise.
func mode(m gate.Mode) gate.Mode {
	if m == "" {
		return gate.ModeMatch
	}
	return m
}

// grown makes room for the resources.
func grown(dst []byte, items []gate.Item) []byte {
	need := 512
	for i := range items {
		need += len(items[i].Resource.JSON) + perEntry
	}
	if cap(dst)-len(dst) < need {
		bigger := make([]byte, len(dst), len(dst)+need)
		copy(bigger, dst)
		return bigger
	}
	return dst
}
