package rest

// Value sets of R4 whose codes are among those told.
const (
	codesOfTypes    = "http://hl7.org/fhir/ValueSet/resource-types"
	codesOfPurposes = "http://terminology.hl7.org/ValueSet/v3-PurposeOfUse"
	codesOfReasons  = "http://terminology.hl7.org/ValueSet/v3-ActReason"
)

// operations are the operations of our own, by the id of their definition. What
// addresses they have and whether they write is said by their rows alone; a test
// holds the rest against what is read and what is answered.
func operations() map[string]operation {
	all := ofPatients()
	for _, more := range []map[string]operation{ofTheLog(), ofTheRegulator(), ofDirectives()} {
		for id, o := range more {
			all[id] = o
		}
	}
	return all
}

// ofPatients are about one patient's record, and who looked at it.
func ofPatients() map[string]operation {
	return map[string]operation{
		"Patient-access": {
			title: "How much of a record the caller sees",
			text: "Says at which level the caller sees the record of a patient who is there for them, and whether breaking the glass is open. " +
				"For a patient who is not, the answer is the one for an id that was never given.",
			gives: []argument{
				{name: "level", kind: "code", least: 1, text: "`basic`: the basic set alone; `full`: the whole record; `self`: one's own."},
				{name: "breakGlass", kind: "boolean", least: 1, text: "Whether `$break-glass` is open to the caller."},
			},
		},
		"Patient-break-glass": {
			title: "Break the glass in an emergency",
			text: "Gives one person, who acts for one organisation through one client, the whole record of one patient for some hours, whatever the patient " +
				"restricts. It is on record before it works, the patient is told, and the ministry reviews it. The answer does not say whether anything was restricted.",
			takes: []argument{
				{name: "reason", kind: "Coding", least: 1, codes: codesOfReasons, text: "`http://terminology.hl7.org/CodeSystem/v3-ActCode|OVRER`, which is the one reason there is."},
				{name: "threat", kind: "code", least: 1, text: "What is in danger: `life` or `health`."},
				{name: "justification", kind: "string", least: 1, text: "Why, in ten characters or more that are not space. The patient is not shown it."},
				{name: "encounter", kind: "Reference", to: "Encounter", text: "The encounter, by its identifier."},
				{name: "emergency", kind: "boolean", text: "Whether to register the patient with the organisation for the emergency, which some roles may."},
				{name: "duration", kind: "Duration", text: "How long, in the UCUM units `s`, `min` or `h`. There is a most, of 24 hours unless the server was told less."},
			},
			gives: []argument{
				{name: "grantId", kind: "string", least: 1, text: "Which grant this is in the record of access."},
				{name: "expires", kind: "instant", least: 1, text: "When it ends by itself."},
			},
		},
		"Patient-break-glass-stop": {
			title: "Mend the glass",
			text:  "Ends the caller's own grants for a patient, before they end by themselves.",
			gives: []argument{{name: "return", kind: "OperationOutcome", text: "That it is done, for who prefers to be told."}},
		},
		"Patient-access-history": {
			title: "Who looked at my record",
			text: "Tells a patient, or who acts for the patient, who looked at the record, when, what for and at what kind of data, in plain words and the newest " +
				"first. What one person did for one thing within an hour is told as one. For everybody else there is no such operation.",
			takes: []argument{
				{name: "start", kind: "dateTime", text: "From when on."},
				{name: "end", kind: "dateTime", text: "Until when; of a date, to its end."},
				{name: "organization", kind: "string", text: "The id of an Organization, or its type and id; what is part of it is meant as well."},
				{name: "emergency", kind: "boolean", text: "Whether to tell only what was seen by breaking the glass."},
				{name: "fold", kind: "boolean", text: "`false` tells every access by itself."},
				{name: "_count", kind: "integer", text: "How many on a page."},
				languageArgument(),
			},
			gives: []argument{
				{name: "access", many: true, text: "An access, or several told as one.", parts: partsOfVisit()},
				{name: "next", kind: "uri", text: "Where the next page is."},
			},
		},
		"Consent-simulate": {
			title: "What a Consent would do",
			text: "Tells, before anything is saved, which organisations could see what if a Consent were on file, and what they see now. What saving would " +
				"refuse is refused alike. For the patient, who acts for the patient, and the custodian.",
			takes: []argument{
				{name: "resource", kind: "Consent", least: 1, text: "The Consent; it may also be the body."},
				languageArgument(),
			},
			gives: []argument{
				{name: "organization", many: true, text: "An organisation that is concerned.", parts: []argument{
					{name: "who", kind: "Reference", to: "Organization", least: 1, text: "Which."},
					{name: "registered", kind: "boolean", least: 1, text: "Whether it cares for the patient now."},
					{name: "now", least: 1, text: "What it sees as things are.", parts: partsOfSight()},
					{name: "then", least: 1, text: "What it would see.", parts: partsOfSight()},
					{name: "emergency-until", kind: "instant", text: "Until when a broken glass opens the record to it, whatever the Consent says."},
				}},
				{name: "more", kind: "boolean", text: "That there are more organisations than are told of."},
				{name: "consent", least: 1, text: "What the Consent says, as the server reads it.", parts: []argument{
					{name: "in-doubt", kind: "boolean", least: 1, text: "Whether it cannot be read with certainty, so that the basic set alone is seen."},
					{name: "otherwise", kind: "string", text: "What holds where no rule does, in words."},
					{name: "rule", kind: "string", many: true, text: "A rule, in words."},
				}},
			},
		},
		"AuditEvent-explain": {
			title: "Why an access was decided as it was",
			text: "Tells why an access came out as it did, from its event and the versions of the Consents that it names. For the patient, who acts for the patient, " +
				"and the custodian, of events about themselves. What is not on record is said not to be.",
			takes: []argument{languageArgument()},
			gives: []argument{
				{name: "event", kind: "Reference", to: "AuditEvent", least: 1, text: "The event."},
				{name: "access", least: 1, text: "The access, as the access history tells it.", parts: partsOfVisit()},
				{name: "because", kind: "CodeableConcept", least: 1, text: "Why, as a code of `nehr-because` and in words."},
				{name: "reason", kind: "string", text: "The internal reason, for the custodian alone."},
				{name: "grant", kind: "string", text: "The grant of the broken glass, for the custodian alone."},
				{name: "basic-set", kind: "string", text: "Which version of the basic set was in force."},
				{name: "consent", many: true, text: "A Consent that was heeded.", parts: []argument{
					{name: "version", kind: "Reference", to: "Consent", text: "Its version."},
					{name: "decided", kind: "string", many: true, text: "What it decided, in words."},
					{name: "place", kind: "string", many: true, text: "The rule of it that decided, as a FHIRPath."},
					sightArgument(),
				}},
				{name: "reproduced", kind: "boolean", text: "Whether the same decision comes out once more."},
				{name: "not-on-record", kind: "CodeableConcept", many: true, text: "What cannot be told, as a code of `nehr-unsaid` and in words."},
			},
		},
	}
}

// languageArgument is the language of what is told in words.
func languageArgument() argument {
	return argument{name: "_language", kind: "string", text: "The language of the words, as Accept-Language has it, which holds where this is missing. What a language lacks is said in English."}
}

// partsOfVisit are the parts of an access.
func partsOfVisit() []argument {
	return []argument{
		{name: "summary", kind: "string", text: "All of it in one sentence."},
		{name: "when", kind: "instant", least: 1, text: "When; of several, the last."},
		{name: "since", kind: "instant", text: "Of several, when the first was."},
		{name: "count", kind: "integer", least: 1, text: "How many they are."},
		{name: "who", kind: "CodeableConcept", least: 1, text: "In which capacity, as a code of `nehr-who` and in words; never the name of a person."},
		{name: "organization", kind: "Reference", to: "Organization", text: "For which organisation."},
		{name: "profession", kind: "string", text: "In which profession."},
		{name: "did", kind: "CodeableConcept", least: 1, text: "What was done, as a code of `nehr-deed`."},
		{name: "purpose", kind: "CodeableConcept", least: 1, codes: codesOfPurposes, text: "What for."},
		{name: "data", kind: "CodeableConcept", many: true, codes: codesOfTypes, text: "A kind of data."},
		{name: "whole", kind: "boolean", least: 1, text: "Whether it was about all of the record."},
		{name: "emergency", kind: "boolean", least: 1, text: "Whether the glass was broken for it."},
		{name: "refused", kind: "boolean", least: 1, text: "Whether it was refused."},
		{name: "view", kind: "CodeableConcept", text: "How much was in view, as a code of `nehr-view` and in words."},
	}
}

// partsOfSight are what an organisation sees.
func partsOfSight() []argument {
	return []argument{
		{name: "summary", kind: "string", text: "In a sentence."},
		sightArgument(),
	}
}

// sightArgument is what is seen of one kind of data.
func sightArgument() argument {
	return argument{name: "sees", many: true, text: "What is seen of one kind of data, or of all that is not named.", parts: []argument{
		{name: "label", kind: "string", text: "The security label that tells the data, where it is no type."},
		{name: "data", kind: "CodeableConcept", codes: codesOfTypes, text: "The type of the data; words alone for all the rest."},
		{name: "purpose", kind: "CodeableConcept", codes: codesOfPurposes, text: "For which purpose alone."},
		{name: "view", kind: "CodeableConcept", least: 1, text: "How much, as a code of `nehr-view`: `full`, `basic` or `none`."},
	}}
}

// ofTheLog are about the record of access as a Merkle log (RFC 6962).
func ofTheLog() map[string]operation {
	const whose = " For the regulator and the custodian; for everybody else there is no such operation."
	return map[string]operation{
		"AuditEvent-checkpoint": {
			title: "The signed checkpoint of the record of access",
			text: "Answers the size and root of the Merkle log of all records, signed as a C2SP tlog-checkpoint; as plain text to who asks for no FHIR. By POST " +
				"a witness hands in the same checkpoint with its signature." + whose,
			takes: []argument{{name: "checkpoint", kind: "string", text: "By POST: the note with the signature of a witness that the server was told of. The note alone may be sent, too, as text/plain."}},
			gives: aboutTheLog(),
		},
		"AuditEvent-inclusion-proof": {
			title: "That an event is in the record of access",
			text:  "Proves that the record of an event is a leaf of the signed tree." + whose,
			takes: []argument{{name: "id", kind: "id", text: "The id of the event, where the address does not name it."}},
			gives: aboutTheLog(
				argument{name: "index", kind: "string", least: 1, text: "Which leaf it is, as a whole number from zero on."},
				argument{name: "record", kind: "base64Binary", least: 1, text: "The record, whose hash is the leaf."},
				argument{name: "size", kind: "string", least: 1, text: "The size of the tree."},
				argument{name: "hash", kind: "base64Binary", many: true, text: "A hash of the proof, in its order."},
			),
		},
		"AuditEvent-consistency-proof": {
			title: "That the record of access goes on from what it was",
			text:  "Proves that the tree of one size begins with that of another: nothing was removed, changed or put in between." + whose,
			takes: []argument{
				{name: "from", kind: "string", least: 1, text: "The smaller size, as a whole number of 1 or more."},
				{name: "to", kind: "string", text: "The larger size; without it the one signed last."},
			},
			gives: aboutTheLog(
				argument{name: "from", kind: "string", least: 1, text: "The smaller size."},
				argument{name: "size", kind: "string", least: 1, text: "The larger size."},
				argument{name: "hash", kind: "base64Binary", many: true, text: "A hash of the proof, in its order."},
			),
		},
		"AuditEvent-log-records": {
			title: "Records of the log, as they are stored",
			text:  "Answers records one after the other, each behind its length, as octets: as many as there are, are asked for, and fit." + whose,
			takes: []argument{
				{name: "start", kind: "string", least: 1, text: "The first, as a whole number from zero on."},
				{name: "count", kind: "integer", least: 1, text: "How many at most."},
			},
			gives: []argument{{name: "return", kind: "Binary", least: 1, text: "The octets."}},
		},
		"AuditEvent-log-tiles": {
			title: "Tiles of the tree of the log",
			text:  "Answers tiles of the Merkle tree, of 256 hashes each, one after the other and each behind its length, as octets." + whose,
			takes: []argument{
				{name: "level", kind: "integer", least: 1, text: "Their level; the leaves are at level zero."},
				{name: "start", kind: "string", least: 1, text: "The first, as a whole number from zero on."},
				{name: "count", kind: "integer", text: "How many; without it one."},
				{name: "width", kind: "integer", text: "How many hashes each has; without it all 256."},
			},
			gives: []argument{{name: "return", kind: "Binary", least: 1, text: "The octets."}},
		},
	}
}

// aboutTheLog are the parameters of every answer about the log, and some more.
func aboutTheLog(more ...argument) []argument {
	return append([]argument{
		{name: "checkpoint", kind: "string", least: 1, text: "The checkpoint, as it is signed."},
		{name: "key", kind: "string", many: true, text: "A verifier key of the server, the latest last."},
		{name: "rotation", kind: "string", many: true, text: "A checkpoint at which the key changed."},
		{name: "successor", kind: "string", many: true, text: "A note in which a key names the one after it, signed by both."},
		{name: "cosigned", kind: "string", text: "The latest checkpoint that a witness signed as well."},
		{name: "witness", kind: "string", many: true, text: "The verifier key of a witness."},
	}, more...)
}

// ofTheRegulator are those of the regulator's oversight.
func ofTheRegulator() map[string]operation {
	tally := func(name, of string) argument {
		return argument{name: name, many: true, text: "How many there are of " + of + ", the most first.", parts: []argument{
			{name: "reference", kind: "Reference", least: 1, text: "Who."},
			{name: "overrides", kind: "integer", least: 1, text: "How many."},
		}}
	}
	gives := []argument{
		{name: "start", kind: "instant", least: 1, text: "The beginning of the period."},
		{name: "end", kind: "instant", least: 1, text: "Its end."},
		{name: "for-organization", kind: "Reference", to: "Organization", text: "The organisation that was asked for, with its parts."},
		{name: "for-practitioner", kind: "Reference", text: "The person, or the role, who was asked for."},
		{name: "overrides", kind: "integer", least: 1, text: "How many there are."},
		tally("organization", "one organisation"), tally("practitioner", "one person"),
	}
	parts := []argument{
		{name: "grant", kind: "uri", least: 1, text: "The grant."},
		{name: "patient", kind: "Reference", to: "Patient", text: "Whose record."},
		{name: "practitioner", kind: "Reference", to: "Practitioner", text: "By whom."},
		{name: "organization", kind: "Reference", to: "Organization", text: "For whom."},
		{name: "started", kind: "Reference", to: "AuditEvent", text: "The event of its start."},
		{name: "stopped", kind: "Reference", to: "AuditEvent", text: "The event of its end, if somebody ended it."},
		{name: "review", kind: "Reference", to: "Task", text: "Its review."},
		{name: "start", kind: "instant", least: 1, text: "When it began."},
		{name: "end", kind: "instant", least: 1, text: "When it ended, or will."},
		{name: "open", kind: "boolean", least: 1, text: "Whether it is not over."},
		{name: "accesses", kind: "integer", least: 1, text: "How many requests it opened."},
		{name: "state", kind: "code", least: 1, text: "Of the review: `requested`, `in-review`, `accepted` or `referred`."},
		{name: "due", kind: "instant", least: 1, text: "When the review is due."},
	}
	why := map[string]string{
		"without-encounter":        "No visit followed in time.",
		"encounter-awaited":        "No visit followed so far, and there is time for one.",
		"repeated-by-practitioner": "The same person did it before.",
		"repeated-on-patient":      "It happened to the same patient before.",
		"outside-hours":            "It was outside working hours.",
		"overdue":                  "The review is late.",
	}
	for _, list := range lists() {
		gives = append(gives, argument{name: list.name, kind: "Reference", to: "Task", many: true, text: "The review of one. " + why[list.name]})
		parts = append(parts, argument{name: list.name, kind: "boolean", least: 1, text: why[list.name]})
	}
	gives = append(gives, argument{name: "override", many: true, text: "One override.", parts: parts})
	return map[string]operation{
		"AuditEvent-break-glass-report": {
			title: "Overrides and what stands out",
			text: "Reports all broken glass of a period by organisation and person, with what stands out; as a table to who asks for `text/csv`. It has no clinical " +
				"content. For the regulator; for everybody else there is no such operation.",
			takes: []argument{
				{name: "start", kind: "dateTime", text: "The beginning; without it thirty days before the end."},
				{name: "end", kind: "dateTime", text: "The end; without it now."},
				{name: "organization", kind: "string", text: "The id of an Organization, or its type and id; what is part of it is meant as well."},
				{name: "practitioner", kind: "string", text: "The id of a Practitioner, or the type and id of one or of a PractitionerRole."},
				{name: "agent", kind: "string", text: "The same as practitioner."},
			},
			gives: gives,
		},
		"Task-review": {
			title: "Review an override",
			text: "Takes the review of a broken glass a step further. With `If-Match` it is held against the version that was read. For people of the regulator's; " +
				"for everybody else there is no such operation.",
			takes: []argument{
				{name: "state", kind: "code", text: "The state to come to: `in-review`, and then `accepted` or `referred`, once the override is over."},
				{name: "owner", kind: "Reference", text: "Who reviews: a Practitioner, a PractitionerRole or an Organization, or an identifier."},
				{name: "comment", kind: "string", text: "What is added to the comments."},
			},
			gives: []argument{{name: "return", kind: "Task", text: "The review."}},
		},
	}
}

// ofDirectives are those by which two people direct, and those of who is directed.
func ofDirectives() map[string]operation {
	const whose = " `If-Match` names the version that was read, and is required. For people of the regulator's; for everybody else there is no such operation."
	theDirective := []argument{{name: "return", kind: "Basic", least: 1, text: "The directive as it is now."}}
	return map[string]operation{
		"Basic-agree": {
			title: "Agree to a directive",
			text:  "A second person agrees to what another proposed, which is in force from then on." + whose,
			gives: theDirective,
		},
		"Basic-lift": {
			title: "Propose that a directive end",
			text:  "A person proposes that a directive in force be lifted, or end at some time; another agrees to it with `$agree`." + whose,
			takes: []argument{{name: "until", kind: "instant", text: "When it is to end; without it at once."}},
			gives: theDirective,
		},
		"Basic-withdraw": {
			title: "Take back or refuse a proposal",
			text:  "A person takes back what they proposed, or refuses what another did." + whose,
			gives: theDirective,
		},
		"Task-accept": {
			title: "Accept a certificate",
			text:  "A person accepts what an organisation certified of a direction to destroy, which ends the hold on its reading." + whose,
			gives: []argument{{name: "return", kind: "Task", least: 1, text: "The Task of the direction."}},
		},
		"Task-certify": {
			title: "Certify what was destroyed",
			text:  "An organisation that was directed to destroy says that it did. For providers and their systems, of directions to their own organisation.",
			takes: []argument{{name: "resource", kind: "DocumentReference", least: 1, text: "The certificate with its content in it, as the body: about no patient, and of 1 MiB at most."}},
			gives: []argument{{name: "return", kind: "Task", least: 1, text: "The Task, as the organisation is told it."}},
		},
		"Task-directions": {
			title: "What my organisation was directed to do",
			text:  "Answers the directions to destroy that were given to the caller's organisation. For providers and their systems.",
			gives: []argument{{name: "return", kind: "Bundle", least: 1, text: "A searchset of Tasks."}},
		},
	}
}
