package audit

// profileBase is where IHE BALP keeps its profiles.
const profileBase = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"

// The profiles that an event may claim (DOSSIER §3.2). Those of interactions
// have a twin for each that concerns a patient.
const (
	profileDecision   = "IHE.BasicAudit.AuthZconsent"
	profileDisclosure = "IHE.BasicAudit.PrivacyDisclosure.Source"
	profileIssue      = "IHE.IUA.71"
	profileMinimal    = "IHE.BasicAudit.OAUTHaccessTokenUse.Minimal"
	profileWhole      = "IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive"
)

// profiles are the profiles of BALP that the full edition satisfies. What lacks
// something that its profile requires, or says more than it allows, claims
// nothing.
func (e *Event) profiles() []string {
	var claimed []string
	if p := e.ownProfile(); p != "" {
		claimed = append(claimed, p)
	}
	return append(claimed, e.tokenProfiles()...)
}

// ownProfile is the profile of what happened; empty for none.
func (e *Event) ownProfile() string {
	a := &e.Agent
	switch {
	case a.Client == "" || a.Address == "",
		e.Site == "" && e.Kind != KindDecision,           // an authorizer has no network
		a.person() && !a.known() && e.Kind != KindExport: // a disclosure may be to whoever it is
		return ""
	}
	switch e.Kind {
	case KindRest, KindAuditUse:
		return e.interactionProfile()
	case KindExport:
		if e.Action == ActionRead && e.Patient != "" && len(e.Entities)+len(e.Consents)+len(e.Query)+len(e.RequestID) > 0 {
			return profileDisclosure
		}
	case KindDecision:
		if e.Action == ActionExecute && e.Patient != "" && len(e.Consents) > 0 && a.person() && a.Organization != "" {
			return profileDecision
		}
	case KindAuthentication:
		if e.issues() && e.Action == ActionExecute && (!a.person() || a.altID() == "") {
			return profileIssue
		}
	case KindBreakGlassStart, KindBreakGlassStop, KindConsentChange, KindDirective, KindRoleChange, KindOnboarding, KindReview, KindNotice:
	default:
	}
	return ""
}

// interactionProfile is the profile of a successful interaction: one resource was
// read or written, or a search was asked.
func (e *Event) interactionProfile() string {
	if e.denied() {
		return ""
	}
	one := len(e.Entities) == 1 && e.Query == ""
	asked := len(e.Entities) == 0 && e.Query != ""
	name := ""
	switch code := e.interaction().Code; {
	case one && e.Action == ActionRead && (code == "read" || code == "vread"):
		name = "Read"
	case one && e.Action == ActionCreate && code == "create":
		name = "Create"
	case one && e.Action == ActionUpdate && (code == "update" || code == "patch"):
		name = "Update"
	case one && e.Action == ActionDelete && code == "delete":
		name = "Delete"
	case asked && e.Action == ActionExecute && (code == "search" || code == "search-type" || code == "search-system"):
		name = "Query"
	default:
		return ""
	}
	if e.Patient != "" {
		name = "Patient" + name
	}
	return "IHE.BasicAudit." + name
}

// tokenProfiles are those of the use of a token. The comprehensive one knows a
// person as a recipient alone; of one who writes, only the minimal one is claimed.
func (e *Event) tokenProfiles() []string {
	a := &e.Agent
	if a.TokenID == "" || e.Kind == KindAuthentication {
		return nil
	}
	var claimed []string
	if a.person() {
		claimed = append(claimed, profileMinimal)
	}
	if a.Client != "" && (!a.person() || e.userPart().Code == "IRCP" && a.Issuer != "" && a.Subject != "") {
		claimed = append(claimed, profileWhole)
	}
	return claimed
}

// known reports whether something is known of who the person is.
func (a *Agent) known() bool { return a.User != "" || a.Subject != "" || a.Name != "" }
