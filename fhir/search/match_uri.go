package search

import "strings"

// belowURI matches a URL and all below it, at the boundaries of its path (R4
// search.html#uri, :below). tag is that of the parameter's kind: canonicals are
// filed as references or as uris.
func belowURI(p Param, tag byte, url string) ([]Match, *fault) {
	if f := hasPath(url); f != nil {
		return nil, f
	}
	whole := strings.TrimRight(url, "/")
	below := equal(p, []byte{tag}, []byte(whole+"/"))
	below.Op = OpPrefix
	return []Match{equal(p, []byte{tag}, appendPart(nil, []byte(whole))), below}, nil
}

// aboveURI matches a URL and each that its path goes through, down to its
// authority, with a slash at its end or without (R4 search.html#uri, :above).
func aboveURI(p Param, tag byte, url string) ([]Match, *fault) {
	if f := hasPath(url); f != nil {
		return nil, f
	}
	authority := strings.Index(url, "://") + len("://")
	var out []Match
	for at := strings.TrimRight(url, "/"); len(at) > authority; {
		out = append(out, equal(p, []byte{tag}, appendPart(nil, []byte(at))), equal(p, []byte{tag}, appendPart(nil, []byte(at+"/"))))
		slash := strings.LastIndexByte(at, '/')
		if slash < authority {
			break
		}
		at = strings.TrimRight(at[:slash], "/")
	}
	return out, nil
}

// maxSegments bounds the parts of a path, each of which :above asks for.
const maxSegments = 64

// hasPath refuses what :above and :below do not go by: a URN has no path (R4
// search.html#uri).
func hasPath(url string) *fault {
	scheme, rest, ok := strings.Cut(url, "://")
	switch {
	case !ok || scheme == "" || strings.Trim(rest, "/") == "":
		return bad("must be a URL: above and below go by its path, which a URN does not have")
	case len(url) > maxPrefix || strings.Count(rest, "/") > maxSegments:
		return bad("is too long to search above or below")
	}
	return legibleValue(url)
}

// belowVersion matches a canonical of a version, or of one that begins with it:
// 1.2 has 1.2.0 below it (R4 references.html#canonical). Without a version it goes
// by the path, as for a uri.
func belowVersion(p Param, tag byte, canonical string) ([]Match, *fault) {
	_, version, versioned := strings.Cut(canonical, "|")
	switch {
	case !versioned:
		return belowURI(p, tag, canonical)
	case version == "":
		return nil, bad("must have a version after the bar")
	}
	below := equal(p, []byte{tag}, []byte(canonical+"."))
	below.Op = OpPrefix
	return []Match{equal(p, []byte{tag}, appendPart(nil, []byte(canonical))), below}, legibleValue(canonical)
}

// aboveVersion matches a canonical of a version, or of one that it begins with.
func aboveVersion(p Param, tag byte, canonical string) ([]Match, *fault) {
	url, version, versioned := strings.Cut(canonical, "|")
	switch {
	case !versioned:
		return aboveURI(p, tag, canonical)
	case version == "" || strings.Count(version, ".") > maxSegments:
		return nil, bad("must have a version after the bar, of a few parts")
	}
	var out []Match
	for {
		out = append(out, equal(p, []byte{tag}, appendPart(nil, []byte(url+"|"+version))))
		dot := strings.LastIndexByte(version, '.')
		if dot < 0 {
			return out, legibleValue(canonical)
		}
		version = version[:dot]
	}
}
