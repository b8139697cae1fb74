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
		dst = s.appendFullURL(appendComma(dst, i), &items[i].Resource)
		dst = append(dst, `,"resource":`...)
		dst = append(dst, items[i].Resource.JSON...)
		dst = append(dst, `,"search":{"mode":"`...)
		dst = append(dst, mode(items[i].Mode)...)
		dst = append(dst, `"}}`...)
	}
	if a.released.Hint() {
		dst = append(appendComma(dst, n), hint...)
		n++
	}
	return appendClosing(dst, n)
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
		total = len(a.released.Items()) // it costs nothing to say, and clients look for it
	}
	if total >= 0 {
		dst = append(dst, `,"total":`...)
		dst = strconv.AppendInt(dst, int64(total), 10)
	}
	dst = append(dst, `,"link":[{"relation":"self","url":`...)
	dst = fhir.AppendString(dst, s.link(a, ""))
	if next := a.released.Next(); next != "" {
		dst = append(dst, `},{"relation":"next","url":`...)
		dst = fhir.AppendString(dst, s.link(a, next))
	}
	return append(dst, `}]`...)
}

// link is the absolute address of the Bundle, or of the page at the cursor.
func (s *Server) link(a *answer, cursor string) string {
	out := s.cfg.BaseURL + "/" + a.at
	joint := "?"
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
