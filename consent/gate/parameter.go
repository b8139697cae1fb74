package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// parameterCode is what an added parameter may be called: a name that no control
// has, and in which nothing stands that a search string gives a meaning.
var parameterCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// definition is the search parameter that a SearchParameter defines; nil when it
// is not active. It has no number yet. Its bases are concrete types.
func (g *Gate) definition(t *fhir.Tape) (*r4.SearchParam, *Invalid) {
	root := t.Root()
	text := func(name string) string { return t.Text(t.Field(root, name)) }
	if text("status") != "active" {
		return nil, nil //nolint:nilnil // it defines nothing, and that is no error
	}
	p := &r4.SearchParam{
		Code: text("code"), Name: text("name"), URL: text("url"), Expression: text("expression"), Kind: parameterKind(text("type")),
	}
	switch {
	case !parameterCode.MatchString(p.Code):
		return nil, unfit("code", "must be a letter and then letters, digits and hyphens, 64 characters at most")
	case p.Kind == 0 || p.Kind == r4.ParamSpecial:
		return nil, unfit("type", "must be number, date, string, token, reference, composite, quantity or uri")
	case p.Expression == "":
		return nil, unfit("expression", "is needed: what it leads to is what is searched")
	}
	for _, step := range []func(*fhir.Tape, *r4.SearchParam) *Invalid{g.bases, g.targets, g.components, g.compiles} {
		if problem := step(t, p); problem != nil {
			return nil, problem
		}
	}
	return p, nil
}

// unfit is what is wrong with an element of a SearchParameter.
func unfit(element, text string) *Invalid {
	return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule,
		"SearchParameter."+element+" "+text, "SearchParameter."+element)
}

func parameterKind(code string) r4.ParamKind {
	for k := r4.ParamNumber; k <= r4.ParamSpecial; k++ {
		if k.String() == code {
			return k
		}
	}
	return 0
}

// recordOfAccess has an index of its own, of R4's parameters.
const recordOfAccess fhir.ResourceType = "AuditEvent"

// bases reads the types that it searches.
func (g *Gate) bases(t *fhir.Tape, p *r4.SearchParam) (problem *Invalid) {
	add := func(typ fhir.ResourceType) {
		if !slices.Contains(p.Bases, typ) {
			p.Bases = append(p.Bases, typ)
		}
	}
	elements(t, t.Root(), "base", func(n fhir.Node) {
		name := t.Text(n)
		switch typ := g.tools.Definitions.Type(name); {
		case name == string(recordOfAccess):
			problem = unfit("base", "cannot be AuditEvent: the record of access is indexed by the parameters of R4 alone")
		case typ == nil || typ.Kind != r4.KindResource:
			problem = unfit("base", "must be a resource type of R4, or Resource or DomainResource for all of them")
		case !typ.Abstract:
			add(typ.Resource())
		default:
			for _, r := range g.tools.Definitions.Resources() {
				if (name == "Resource" || r.Base == typ) && r.Resource() != recordOfAccess {
					add(r.Resource())
				}
			}
		}
	})
	if len(p.Bases) == 0 && problem == nil {
		problem = unfit("base", "is needed")
	}
	slices.Sort(p.Bases)
	return problem
}

// targets reads the types to which a reference may point.
func (g *Gate) targets(t *fhir.Tape, p *r4.SearchParam) (problem *Invalid) {
	elements(t, t.Root(), "target", func(n fhir.Node) {
		typ := g.tools.Definitions.Resource(t.Text(n))
		if typ == nil || p.Kind != r4.ParamReference {
			problem = unfit("target", "must be a resource type of R4, and only a reference has it")
			return
		}
		p.Targets = append(p.Targets, typ.Resource())
	})
	return problem
}

// components reads the parts of a composite, which are parameters of R4.
func (g *Gate) components(t *fhir.Tape, p *r4.SearchParam) (problem *Invalid) {
	elements(t, t.Root(), "component", func(n fhir.Node) {
		at := "component[" + strconv.Itoa(len(p.Components)) + "]"
		url, _, _ := strings.Cut(t.Text(t.Field(n, "definition")), "|")
		c := r4.Component{Expression: t.Text(t.Field(n, "expression"))}
		for _, sp := range g.tools.Definitions.SearchParams() {
			if sp.URL == url && !sp.Internal && sp.Kind != r4.ParamComposite && sp.Kind != r4.ParamSpecial {
				c.Param = sp
			}
		}
		switch {
		case problem != nil:
		case p.Kind != r4.ParamComposite:
			problem = unfit(at, "is for a composite alone")
		case c.Param == nil:
			problem = unfit(at+".definition", "must be the URL of a search parameter of R4 that is no composite")
		case c.Expression == "":
			problem = unfit(at+".expression", "is needed")
		}
		p.Components = append(p.Components, c)
	})
	if p.Kind == r4.ParamComposite && len(p.Components) == 0 {
		problem = unfit("component", "is needed for a composite")
	}
	return problem
}

// compiles holds the expression against the types, and the code against theirs.
func (g *Gate) compiles(_ *fhir.Tape, p *r4.SearchParam) *Invalid {
	trial := *p
	trial.Number = uint16(search.FirstAdded)
	_, err := g.tools.Indexer.With([]search.Added{{SearchParam: &trial, Used: true}})
	if err == nil {
		return nil
	}
	return clashing(err, p)
}

// clashing is the refusal of what cannot be added.
func clashing(err error, p *r4.SearchParam) *Invalid {
	var cause *search.AddedError
	switch {
	case !errors.As(err, &cause):
		return unfit("expression", "cannot be used")
	case cause.Clash:
		return unfit("code", "is taken: "+cause.Error())
	case p.Kind == r4.ParamComposite:
		return unfit("expression", "or that of a component cannot be used "+cause.Error())
	default:
		return unfit("expression", "cannot be used "+cause.Error())
	}
}

// fingerprint is what a parameter finds, whatever else is said of it: as long as
// it stays, so does the index.
func fingerprint(p *r4.SearchParam) string {
	h := sha256.New()
	writePart(h, p.Code)
	writePart(h, p.Kind.String())
	writePart(h, p.Expression)
	for _, types := range [][]fhir.ResourceType{p.Bases, p.Targets} {
		writeNumbers(h, uint64(len(types)))
		for _, t := range types {
			writePart(h, string(t))
		}
	}
	for _, c := range p.Components {
		writePart(h, c.Param.URL)
		writePart(h, c.Expression)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
