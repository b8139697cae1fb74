package fhir

import "strings"

// RefForm is the form of a literal reference. The zero value is not a reference.
type RefForm uint8

// The forms of Reference.reference (R4 references.html#literal).
const (
	// RefInvalid: not a reference, or one that tries to pass for something else.
	RefInvalid RefForm = iota
	// RefLocal: Type/id on this server, relative or absolute, perhaps with a version.
	RefLocal
	// RefExternal: an absolute URL elsewhere, or a URN of a kind not known here.
	RefExternal
	// RefURN: urn:uuid:… or urn:oid:….
	RefURN
	// RefContained: #id, or # for the container itself.
	RefContained
	// RefConditional: Type?query, for transactions alone (R4 http.html#trules).
	RefConditional
)

// Reference is a literal reference, understood. The zero value is invalid.
type Reference struct {
	Form RefForm
	// Type is set for RefLocal and RefConditional. It has the form of a type
	// name; whether R4 has such a type is not known here.
	Type ResourceType
	// ID and Version are set for RefLocal; Version may be empty.
	ID, Version string
	// Fragment is the id of a RefContained; empty for the container itself.
	Fragment string
	// Query is what follows the question mark of a RefConditional.
	Query string
	// URL is the whole of a RefExternal, RefURN or RefConditional.
	URL string
}

// Local is Type/id of a RefLocal without its version; "" for every other form.
func (r Reference) Local() string {
	if r.Form != RefLocal {
		return ""
	}
	return string(r.Type) + "/" + r.ID
}

// ValidID reports whether s is a resource id (R4 datatypes.html#id), other than
// "." and "..", which no URL can hold.
func ValidID(s string) bool {
	if s == "" || len(s) > 64 || s == "." || s == ".." {
		return false
	}
	for _, c := range []byte(s) {
		if !letter(c) && !digit(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20-'a' <= 'z'-'a' }

func typeName(s string) bool {
	if len(s) < 2 || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, c := range []byte(s) {
		if !letter(c) {
			return false
		}
	}
	return true
}

// ParseReference understands s on a server whose FHIR base URL is base. A
// reference that leads to this server in any spelling is either RefLocal,
// RefConditional or RefInvalid, never RefExternal, so that nobody can refer to a
// patient without the resource becoming that patient's.
func ParseReference(s, base string) Reference {
	if fragment, ok := strings.CutPrefix(s, "#"); ok {
		if fragment != "" && !ValidID(fragment) {
			return Reference{}
		}
		return Reference{Form: RefContained, Fragment: fragment}
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c == '\\' || c == '"' || c == '<' || c == '>' || c == 0x7f {
			return Reference{}
		}
	}
	base = strings.TrimSuffix(base, "/")
	if len(s) > len(base) && s[len(base)] == '/' && s[:len(base)] == base && base != "" {
		return relative(s[len(base)+1:], s)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(scheme, "/?") {
		return relative(s, s)
	}
	switch strings.ToLower(scheme) {
	case "urn":
		return urn(s, rest)
	case "http", "https":
		return absolute(s, rest, base)
	default:
		return Reference{}
	}
}

// relative understands Type/id, Type/id/_history/version and Type?query.
func relative(s, whole string) Reference {
	end := strings.IndexAny(s, "/?")
	if end < 0 || !typeName(s[:end]) {
		return Reference{}
	}
	kind, rest := ResourceType(s[:end]), s[end+1:]
	if s[end] == '?' {
		if rest == "" || strings.Contains(rest, "#") {
			return Reference{}
		}
		return Reference{Form: RefConditional, Type: kind, Query: rest, URL: whole}
	}
	id, rest, versioned := strings.Cut(rest, "/")
	version, history := strings.CutPrefix(rest, "_history/")
	if !ValidID(id) || versioned && (!history || !ValidID(version)) {
		return Reference{}
	}
	if !versioned {
		version = ""
	}
	return Reference{Form: RefLocal, Type: kind, ID: id, Version: version}
}

// urn understands urn:uuid and urn:oid (R4 datatypes.html#uuid, #oid), which
// link the entries of a Bundle and so must be spelt as a fullUrl is.
func urn(s, rest string) Reference {
	space, name, ok := strings.Cut(rest, ":")
	form := RefURN
	switch strings.ToLower(space) {
	case "uuid":
		ok = ok && strings.HasPrefix(s, "urn:uuid:") && uuid(name)
	case "oid":
		ok = ok && strings.HasPrefix(s, "urn:oid:") && oid(name)
	default:
		form, ok = RefExternal, ok && space != "" && name != "" && ascii(s)
	}
	if !ok {
		return Reference{}
	}
	return Reference{Form: form, URL: s}
}

func uuid(s string) bool {
	const shape = "00000000-0000-0000-0000-000000000000"
	if len(s) != len(shape) {
		return false
	}
	for i, c := range []byte(s) {
		hex := digit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
		if hex != (shape[i] == '0') || !hex && c != '-' {
			return false
		}
	}
	return true
}

func oid(s string) bool {
	first, rest, ok := strings.Cut(s, ".")
	if !ok || len(first) != 1 || first[0] < '0' || first[0] > '2' {
		return false
	}
	for arc := range strings.SplitSeq(rest, ".") {
		if arc == "" || digits([]byte(arc), 0) != len(arc) || len(arc) > 1 && arc[0] == '0' {
			return false
		}
	}
	return true
}

func ascii(s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// absolute understands a URL; rest is what follows its scheme and colon.
func absolute(s, rest, base string) Reference {
	host, path, ok := authority(rest)
	if !ok || !ascii(s) {
		return Reference{}
	}
	_, ours, _ := strings.Cut(base, ":")
	ourHost, ourPath, ok := authority(ours)
	if !ok || host != ourHost {
		return Reference{Form: RefExternal, URL: s}
	}
	// The rest decides about this server's host. Paths that a client or proxy
	// might rewrite into one of ours are refused.
	plain := path
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		plain = path[:end]
	}
	if strings.Contains(plain, "%") || strings.Contains(plain, "//") || strings.Contains(plain+"/", "/./") ||
		strings.Contains(plain+"/", "/../") {
		return Reference{}
	}
	if within, ok := strings.CutPrefix(path, ourPath+"/"); ok {
		return relative(within, s)
	}
	if len(plain) >= len(ourPath) && strings.EqualFold((plain + "/")[:len(ourPath)+1], ourPath+"/") {
		return Reference{}
	}
	return Reference{Form: RefExternal, URL: s}
}

// authority splits //host/path and brings the host to one spelling. Whether a
// URL says http or https does not matter to which server it means, so neither
// do their default ports.
func authority(s string) (host, path string, ok bool) {
	s, ok = strings.CutPrefix(s, "//")
	if !ok {
		return "", "", false
	}
	host = s
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		host, path = s[:end], s[end:]
	}
	host = strings.ToLower(host)
	for _, port := range []string{":", ":80", ":443"} {
		if bare, cut := strings.CutSuffix(host, port); cut {
			host = bare
			break
		}
	}
	host = strings.TrimSuffix(host, ".")
	return host, path, host != "" && !strings.ContainsAny(host, "@%")
}
