package rest

import (
	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/consent/plain"
	"vitrine/fhir/validate"
)

// vocabulary is a code system of our own, with all its codes; without any it says
// whose it has.
type vocabulary struct {
	text  string
	terms []term
}

// term is a code and what it says.
type term struct{ code, display string }

// resource is the code system of the id (R4 codesystem.html).
func (v *vocabulary) resource(id string) []byte {
	w := heading("CodeSystem", id).raw(`,"status":"active","publisher":"Vitrine","description":`).quote(v.text)
	if len(v.terms) == 0 {
		return w.raw(`,"caseSensitive":true,"content":"not-present"}`)
	}
	w = w.raw(`,"caseSensitive":true,"content":"complete","concept":[`)
	for i, t := range v.terms {
		w = w.comma(i).raw(`{"code":`).quote(t.code).raw(`,"display":`).quote(t.display).raw("}")
	}
	return w.raw("]}")
}

// vocabularies are the code systems of our own, by their id, which is the end of their
// canonical URL. Tests hold them against the source and against what is answered.
func vocabularies() map[string]*vocabulary {
	all := ofTheRecord()
	for _, more := range []map[string]*vocabulary{ofTasks(), ofWhatIsTold()} {
		for id, v := range more {
			all[id] = v
		}
	}
	return all
}

// ofTheRecord are those of the record of access, of tokens and of answers.
func ofTheRecord() map[string]*vocabulary {
	return map[string]*vocabulary{
		"nehr-event": {"What happened, where no other system has a code for it, in AuditEvent.subtype.", []term{
			{"break-glass-start", "The glass was broken"},
			{"break-glass-use", "Something was opened by it"},
			{"break-glass-stop", "The glass is whole again"},
			{"denied", "It was refused"},
			{"onboarding", "A client or an organisation was taken in, changed or ended"},
			{"directive", "Something was done to a directive"},
			{"directive-proposed", "A directive was proposed"},
			{"directive-agreed", "Another person agreed to it"},
			{"directive-lift-proposed", "Its end was proposed"},
			{"directive-shortened", "Another person agreed that it end at a time"},
			{"directive-lifted", "Another person agreed that it end"},
			{"directive-withdrawn", "A proposal was taken back by who made it"},
			{"directive-refused", "A proposal was refused by another person"},
			{"directive-certified", "An organisation certified that it destroyed what it was to"},
			{"directive-accepted", "The certificate was accepted"},
			{"review", "A step of the review of an override or alert"},
			{"export", "Something was exported"},
			{"notice", "A patient was told of something"},
			{"authorize", "An app was let in, or not"},
			{"launch", "An app was launched"},
			{"revoke", "What was granted was taken back"},
		}},
		"nehr-view": {"How much of a record is there for somebody.", []term{
			{consent.None.Code(), "Nothing"},
			{consent.Basic.Code(), "The basic set"},
			{consent.Full.Code(), "The whole record"},
			{consent.Self.Code(), "One's own record"},
		}},
		"nehr-purpose": {"Purposes of use for which no other system has a code.", []term{
			{"AUDIT", "Review of the record of access by the ministry"},
			{"STATEXAM", "An examination that a law requires"},
			{"EMPLOYMENT", "Employment, which opens nothing"},
			{"INSURANCE", "Insurance, which opens nothing"},
		}},
		"nehr-role": {"Roles of practitioners for which no other system has a code.", []term{{"emergency", "Part of an emergency team"}}},
		"nehr-visit": {"Kinds of visits that make nobody part of a patient's care.", []term{
			{"employment-examination", "An examination for an employer"},
			{"insurance-examination", "An examination for an insurer"},
		}},
		"label": {"Labels of what the server keeps for itself, in meta.security.", []term{
			{"oversight", "Made for the ministry's oversight"},
			{"search-index", "The index of a search parameter"},
		}},
		"within": {"Of what type something is that a resource holds, or that goes with it, among the labels of the resource in the record of access. " +
			"Its codes are those of http://hl7.org/fhir/resource-types.", nil},
		"outcome": {"What an answer says of itself, in OperationOutcome.issue.details.", []term{
			{string(consent.RefusedClient), "The client or its organisation may not"},
			{string(consent.RefusedScope), "The scopes of the token do not cover it"},
			{string(consent.RefusedRole), "The caller's role does not permit it"},
			{string(consent.RefusedPurpose), "Not for this purpose of use"},
			{string(consent.RefusedBlocked), "Blocked by direction of the authority"},
			{"not-found", "There is none"},
			{"invalid", "The request is not as it must be"},
			{"busy", "Not now"},
			{validate.DetailProfile, "A profile asks for it, and R4 does not"},
		}},
	}
}

// ofTasks are those of the server's own Tasks and Communications, and of directives.
func ofTasks() map[string]*vocabulary {
	return map[string]*vocabulary{
		"nehr-task": {"What a Task of the server's own is.", []term{
			{"break-glass-review", "The review of an override"},
			{"alert", "An alert"},
			{"destroy", "A direction to destroy"},
			{"search-parameter-index", "The making of an index"},
		}},
		"nehr-review": {"How far a review is.", []term{
			{string(gate.ReviewRequested), "Requested"},
			{string(gate.ReviewInReview), "In review"},
			{string(gate.ReviewAccepted), "Accepted"},
			{string(gate.ReviewReferred), "Referred to others"},
		}},
		"nehr-grant": {"What is in the Task of an override.", []term{
			{"open", "It is in force"},
			{"closed", "It is over"},
			{"id", "The URN of the grant"},
			{"user", "Who broke the glass"},
			{"organization", "For which organisation, by its id"},
			{"client", "Through which client"},
			{"threat", "What was in danger"},
			{"encounter", "In which encounter, by its identifier"},
		}},
		"nehr-alert": {"What an alert is about, and what is in its Task.", []term{
			{gate.AlertOverrides.String(), "Many overrides"},
			{gate.AlertOverdue.String(), "A review that is late"},
			{gate.AlertSweep.String(), "A sweep for patients"},
			{gate.AlertClaims.String(), "Many claims of emergencies"},
			{"at-least", "How many there are at least"},
			{"client", "Through which client"},
			{"subject", "Who, by the subject of the token"},
			{"span", "In which time"},
		}},
		"nehr-direction": {"What is in the Task of a direction to destroy, and how far it is.", []term{
			{"within", "The person or the client whom it is about"},
			{"window", "Disclosures of which time it is about"},
			{"manifest", "A part of the manifest"},
			{"disclosures", "How many disclosures there were"},
			{"records-from", "When the oldest record that was looked through is of"},
			{"certificate", "The certificate that was sent"},
			{"manifest-in-progress", "The manifest is being made"},
			{"manifest-ready", "The manifest is ready"},
			{"certificate-accepted", "The certificate was accepted"},
		}},
		"nehr-directive": {"What a directive orders.", []term{
			{"BLOCK_READ", "No reading"},
			{"BLOCK_WRITE", "No contributing"},
			{"LIMIT_TYPES", "Reading of some types alone"},
			{"LIMIT_CLASSES", "Reading by some professions alone"},
			{"DESTROY", "That what was disclosed be destroyed"},
		}},
		"nehr-notice": {"What a patient is told of.", []term{{gate.NoticeFirstAccess, "An organisation looked for the first time"}}},
		"search-index": {"What is in the Task of an index.", []term{
			{"number", "The number of the parameter"},
			{"definition", "A hash of what it finds"},
			{"done", "How many resources were looked at"},
			{"total", "How many there are"},
			{"at", "At which type it is"},
			{"position", "Where it goes on"},
			{"owner", "Which server is at work on it"},
			{"lease", "Until when"},
		}},
	}
}

// ofWhatIsTold are those of what patients and the custodian are told in plain words.
func ofWhatIsTold() map[string]*vocabulary {
	return map[string]*vocabulary{
		"nehr-who": {"Who it was, in a history of access.", []term{
			{plain.WhoYou.Code(), "You"},
			{plain.WhoPatient.Code(), "The patient"},
			{plain.WhoRepresentative.Code(), "Who acts for the patient"},
			{plain.WhoProfessional.Code(), "A professional"},
			{plain.WhoSystem.Code(), "The system of an organisation"},
			{plain.WhoMinistry.Code(), "The ministry"},
			{plain.WhoKeeper.Code(), "Who keeps the records"},
			{plain.WhoUnknown.Code(), "It is not known"},
		}},
		"nehr-deed": {"What was done, in a history of access.", []term{
			{string(plain.DeedOther), "Something else"},
			{string(plain.DeedLooked), "Looked"},
			{string(plain.DeedAdded), "Added something"},
			{string(plain.DeedChanged), "Changed something"},
			{string(plain.DeedDeleted), "Deleted something"},
			{string(plain.DeedDecided), "Decided who may see the record"},
			{string(plain.DeedOpened), "Opened the record in an emergency"},
			{string(plain.DeedClosed), "Closed it again"},
			{string(plain.DeedHistory), "Looked at who looked"},
			{string(plain.DeedSought), "Asked who looked, and was not shown"},
			{string(plain.DeedExported), "Took a copy"},
			{string(plain.DeedReviewed), "Reviewed an emergency access"},
			{string(plain.DeedNotified), "Told the patient"},
			{string(plain.DeedAsked), "Asked what may be seen"},
		}},
		"nehr-because": {"Why an access was decided as it was.", []term{
			{string(plain.BecauseUnknown), "It cannot be told"},
			{string(plain.BecauseOwn), "It is one's own record"},
			{string(plain.BecauseActs), "Who asked acts for the patient"},
			{string(plain.BecauseKeeper), "Who asked keeps the records"},
			{string(plain.BecauseMinistry), "Who asked is of the ministry"},
			{string(plain.BecauseContributed), "It is of the organisation that asked"},
			{string(plain.BecauseUnrestricted), "Nothing was restricted"},
			{string(plain.BecausePermitted), "A Consent permits it"},
			{string(plain.BecauseRestricted), "A Consent restricts it"},
			{string(plain.BecausePartly), "A Consent restricts a part of it"},
			{string(plain.BecauseMalformed), "A Consent cannot be understood, so that the basic set alone was there"},
			{string(plain.BecauseUnreadable), "The Consents could not be read, so that the basic set alone was there"},
			{string(plain.BecauseGlass), "The glass was broken"},
			{string(plain.BecauseOpening), "The glass was being broken"},
			{string(plain.BecauseUnrelated), "The patient is not in the organisation's care"},
			{string(plain.BecauseUnauthorised), "Who asked may not act for the patient"},
			{string(plain.BecauseHidden), "It is not there for who asked"},
			{string(plain.BecauseCaller), "Who asked may not ask for it of anybody"},
		}},
		"nehr-unsaid": {"What bore on a decision and is not in its record.", []term{
			{string(plain.UnsaidRegistration), "In whose care the patient was"},
			{string(plain.UnsaidLineage), "What the organisation was part of"},
			{string(plain.UnsaidDifferent), "Something that changed since, or was not recorded"},
			{string(plain.UnsaidLabels), "The security labels of what was read"},
			{string(plain.UnsaidConsents), "What the Consents said"},
		}},
	}
}
