package fhir

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testBase = "https://vitrine.example/fhir"

func TestParseReference(t *testing.T) {
	p1 := Reference{Form: RefLocal, Type: "Patient", ID: "p1"}
	p1v2 := Reference{Form: RefLocal, Type: "Patient", ID: "p1", Version: "2"}
	external := func(url string) Reference { return Reference{Form: RefExternal, URL: url} }
	urn := func(url string) Reference { return Reference{Form: RefURN, URL: url} }
	where := func(prefix, query string) Reference {
		return Reference{Form: RefConditional, Type: "Patient", Query: query, URL: prefix + "Patient?" + query}
	}
	for s, want := range map[string]Reference{
		"Patient/p1":                                  p1,
		"Patient/p1/_history/2":                       p1v2,
		testBase + "/Patient/p1":                      p1,
		testBase + "/Patient/p1/_history/2":           p1v2,
		"HTTPS://Vitrine.Example/fhir/Patient/p1":     p1,
		"http://vitrine.example/fhir/Patient/p1":      p1,
		"https://vitrine.example:443/fhir/Patient/p1": p1,
		"http://vitrine.example.:80/fhir/Patient/p1":  p1,
		"Patient/" + strings.Repeat("a", 64):          {Form: RefLocal, Type: "Patient", ID: strings.Repeat("a", 64)},
		"Nonsense/A-1.b":                              {Form: RefLocal, Type: "Nonsense", ID: "A-1.b"},

		"#":   {Form: RefContained},
		"#p1": {Form: RefContained, Fragment: "p1"},

		"Patient?identifier=http://ns.example/nric|S1234567D": where("", "identifier=http://ns.example/nric|S1234567D"),
		testBase + "/Patient?identifier=%7C1":                 where(testBase+"/", "identifier=%7C1"),
		"http://VITRINE.example/fhir/Patient?identifier=1":    where("http://VITRINE.example/fhir/", "identifier=1"),

		"urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184": urn("urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"),
		"urn:uuid:5CBC121B-CD71-4428-B8B7-31E53EBA8184": urn("urn:uuid:5CBC121B-CD71-4428-B8B7-31E53EBA8184"),
		"urn:oid:2.16.840.1.113883.0":                   urn("urn:oid:2.16.840.1.113883.0"),
		"urn:ietf:rfc:3986":                             external("urn:ietf:rfc:3986"),

		"https://elsewhere.example/fhir/Patient/p1":         external("https://elsewhere.example/fhir/Patient/p1"),
		"https://vitrine.example:8443/fhir/Patient/p1":      external("https://vitrine.example:8443/fhir/Patient/p1"),
		"https://vitrine.example/fhirst/Patient/p1":         external("https://vitrine.example/fhirst/Patient/p1"),
		"https://vitrine.example/CodeSystem/label":          external("https://vitrine.example/CodeSystem/label"),
		"https://vitrine.example.elsewhere/fhir/Patient/p1": external("https://vitrine.example.elsewhere/fhir/Patient/p1"),
		"http://elsewhere.example/%66hir//Patient/../x?a=b": external("http://elsewhere.example/%66hir//Patient/../x?a=b"),
	} {
		if diff := cmp.Diff(want, ParseReference(s, testBase)); diff != "" {
			t.Errorf("ParseReference(%q) (-want +got):\n%s", s, diff)
		}
		if diff := cmp.Diff(want, ParseReference(s, testBase+"/")); diff != "" {
			t.Errorf("ParseReference(%q) with a base that ends in a slash (-want +got):\n%s", s, diff)
		}
	}
}

func TestParseReferenceRefusesWhatIsHostile(t *testing.T) {
	for _, s := range []string{
		"", " ", "p1", "/", "Patient", "Patient/", "/Patient/p1", "//vitrine.example/fhir/Patient/p1", "../fhir/Patient/p1",
		"patient/p1", "P/p1", "Pat1ent/p1", "Patient//p1", "Patient/p1/", "Patient/./p1", "Patient/..", "Patient/.", "Patient/../Patient/p1",
		"Patient/p1?x=y", "Patient/p1#x", "Patient/p1/_history", "Patient/p1/_history/", "Patient/p1/_history/2/", "Patient/p1/_History/2",
		"Patient/p1/Observation/o1", "Patient/p 1", " Patient/p1", "Patient/p1 ", "Patient/p1\n", "Patient/p\x001", "Patient\\p1", "Patient/p%31",
		"Patient/p_1", "Patient/é", "Ｐatient/p1", "Patient/" + strings.Repeat("a", 65), strings.Repeat("A", 65) + "/p1",
		"Patient?", "Patient?a=b#c", "Patient?a=b c", "?identifier=1", "patient?identifier=1",
		"#/Patient/p1", "##", "#p 1", "#é",
		"javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "mailto:a@b.example", "ftp://a.example/Patient/p1", ":", "http:",
		"http://", "http:///fhir/Patient/p1", "https:/vitrine.example/fhir/Patient/p1", "https:vitrine.example/fhir/Patient/p1",
		"https://user@vitrine.example/fhir/Patient/p1", "https://elsewhere.example@vitrine.example/fhir/Patient/p1",
		"https://vitrine%2eexample/fhir/Patient/p1", "https://vitrine。example/fhir/Patient/p1", `https://elsewhere.example\@vitrine.example/fhir/Patient/p1`,
		testBase, testBase + "/", testBase + "/metadata", testBase + "//Patient/p1", testBase + "/Patient/p1/", testBase + "/./Patient/p1",
		testBase + "/x/../Patient/p1", testBase + "/Patient/..", testBase + "?x", testBase + "#x", testBase + "/Patient/p1?_format=json",
		"https://vitrine.example/x/../fhir/Patient/p1", "https://vitrine.example//fhir/Patient/p1", "https://vitrine.example/./fhir/Patient/p1",
		"https://vitrine.example/%66hir/Patient/p1", "https://vitrine.example/fhir/Patient%2Fp1", "http://vitrine.example:443/fhir%2FPatient/p1",
		"https://vitrine.example/FHIR/Patient/p1", "https://vitrine.example/fhir;x=1/../fhir/Patient/p1",
		"urn:", "urn:uuid", "urn:uuid:", "urn:uuid:5cbc121b", "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba818g", "URN:UUID:5cbc121b-cd71-4428-b8b7-31e53eba8184",
		"urn:UUID:5cbc121b-cd71-4428-b8b7-31e53eba8184", "urn:uuid:5cbc121b0cd71-4428-b8b7-31e53eba8184", "urn:oid:", "urn:oid:3.1", "urn:oid:2", "urn:oid:2.01", "urn:oid:2..1", "urn:x:é",
	} {
		if got := ParseReference(s, testBase); got != (Reference{}) {
			t.Errorf("ParseReference(%q) = %+v, want nothing", s, got)
		}
	}
}

func TestParseReferenceWithoutBase(t *testing.T) {
	if got, want := ParseReference("/Patient/p1", ""), (Reference{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	url := "https://vitrine.example/fhir/Patient/p1"
	if got, want := ParseReference(url, ""), (Reference{Form: RefExternal, URL: url}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseReferenceWithBaseAtTheRoot(t *testing.T) {
	for s, want := range map[string]Reference{
		"http://127.0.0.1:8080/Patient/p1":   {Form: RefLocal, Type: "Patient", ID: "p1"},
		"http://127.0.0.1:8080/CodeSystem/":  {},
		"http://127.0.0.1:8080/":             {},
		"http://127.0.0.1:8080":              {},
		"https://127.0.0.1:8080/Patient/p1":  {Form: RefLocal, Type: "Patient", ID: "p1"},
		"https://127.0.0.1:80800/Patient/p1": {Form: RefExternal, URL: "https://127.0.0.1:80800/Patient/p1"},
	} {
		if got := ParseReference(s, "http://127.0.0.1:8080"); got != want {
			t.Errorf("ParseReference(%q) = %+v, want %+v", s, got, want)
		}
	}
}

func TestReferenceLocal(t *testing.T) {
	for s, want := range map[string]string{
		"Patient/p1": "Patient/p1", "Patient/p1/_history/2": "Patient/p1", testBase + "/Patient/p1": "Patient/p1",
		"#p1": "", "Patient?identifier=1": "", "https://elsewhere.example/Patient/p1": "", "": "",
	} {
		if got := ParseReference(s, testBase).Local(); got != want {
			t.Errorf("ParseReference(%q).Local() = %q, want %q", s, got, want)
		}
	}
}

// FuzzReference checks that no spelling of a path on this server passes for
// somewhere else, and that what is local says the same when it is read again.
func FuzzReference(f *testing.F) {
	for _, seed := range []string{
		"Patient/p1", testBase + "/Patient/p1/_history/2", "HTTP://vitrine.example:80/fhir/Patient/p1", "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184",
		"https://vitrine.example/./fhir/Patient/p1", "#a", "Patient?identifier=a|b", "https://a@vitrine.example/%66hir/Patient/p1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := ParseReference(s, testBase)
		switch r.Form {
		case RefInvalid:
			if r != (Reference{}) {
				t.Errorf("%q: %+v", s, r)
			}
		case RefLocal:
			again := ParseReference(r.Local(), testBase)
			if again.Type != r.Type || again.ID != r.ID || again.Form != RefLocal || !ValidID(r.ID) {
				t.Errorf("%q: %+v, again %+v", s, r, again)
			}
		case RefExternal:
			if rest, ok := strings.CutPrefix(strings.ToLower(s), testBase); ok && (rest == "" || strings.ContainsAny(rest[:1], "/?#")) {
				t.Errorf("%q passes for external", s)
			}
		case RefURN, RefContained, RefConditional:
		}
	})
}

func TestValidID(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "A-1.b": true, "...": true, strings.Repeat("9", 64): true,
		"": false, ".": false, "..": false, "a_b": false, "a b": false, "a/b": false, "é": false, "a\x00": false, strings.Repeat("9", 65): false,
	} {
		if got := ValidID(s); got != want {
			t.Errorf("ValidID(%q) = %v, want %v", s, got, want)
		}
	}
}
