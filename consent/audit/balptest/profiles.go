package balptest

// The code systems of the profiles, each with the bar that ends it.
const (
	eventType     = "http://terminology.hl7.org/CodeSystem/audit-event-type|"
	interaction   = "http://hl7.org/fhir/restful-interaction|"
	dcm           = "http://dicom.nema.org/resources/ontology/DCM|"
	participation = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|"
	provenance    = "http://terminology.hl7.org/CodeSystem/provenance-participant-type|"
	roleClass     = "http://terminology.hl7.org/CodeSystem/v3-RoleClass|"
	securityRole  = "http://terminology.hl7.org/CodeSystem/extra-security-role-type|"
	entityType    = "http://terminology.hl7.org/CodeSystem/audit-entity-type|"
	objectRole    = "http://terminology.hl7.org/CodeSystem/object-role|"
	lifecycle     = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle|"
	resourceType  = "http://hl7.org/fhir/resource-types|"
	codeSystems   = "https://profiles.ihe.net/ITI/BALP/CodeSystem/"
	transactions  = codeSystems + "BasicAuditEntityType|XrequestId"
	agentTypes    = codeSystems + "UserAgentTypes|"
	decisions     = codeSystems + "AuthZsubType|"
	jti           = "urn:ietf:params:oauth:jti:"
)

// must, may and not are the cardinalities 1..1, 0..1 and 0..0.
func must(path string) rule { return rule{path: path, min: 1, max: 1} }
func may(path string) rule  { return rule{path: path, max: 1} }
func not(path string) rule  { return rule{path: path} }

// nots are elements that may not be there.
func nots(paths ...string) (out []rule) {
	for _, p := range paths {
		out = append(out, not(p))
	}
	return out
}

// coded is an element that is there once, with one of the codes.
func coded(path string, among ...string) rule {
	return rule{path: path, min: 1, max: 1, among: among}
}

// device is the slice of a client or a server.
func device(name, code string) slice {
	return slice{name: name, by: "type", of: []string{code}, min: 1, max: 1, rules: []rule{
		must("type"), must("who"), must("network"), must("network.address"), not("media"),
	}}
}

// user is the slice of a person.
func user(parts ...string) slice {
	return slice{name: "user", by: "type", of: parts, max: 1, rules: []rule{
		must("type"), must("who"), {path: "requestor", min: 1, max: 1, is: "true"}, not("media"), not("network"),
	}}
}

// patient is the entity that a Patient… profile adds.
func patient() slice {
	return slice{name: "patient", by: "type", of: []string{entityType + "1"}, min: 1, max: 1, rules: []rule{
		must("type"), coded("role", objectRole+"1"), {path: "what.reference", min: 1, max: 1, begins: "Patient/"},
	}}
}

// transaction is the entity of X-Request-Id.
func transaction() slice {
	return slice{name: "transaction", by: "type", of: []string{transactions}, max: 1, rules: []rule{must("what.identifier.value")}}
}

// data is the resource that was read or written.
func data() slice {
	return slice{name: "data", by: "type", of: []string{entityType + "2"}, min: 1, max: 1, rules: []rule{
		must("type"), coded("role", objectRole+"4", objectRole+"3", objectRole+"20"), must("what"), must("what.reference"),
	}}
}

// query is the search that was asked.
func query() slice {
	return slice{name: "query", by: "type", of: []string{entityType + "2"}, min: 1, max: 1, rules: append([]rule{
		must("type"), coded("role", objectRole+"24"), must("query"), may("description"),
	}, nots("what", "lifecycle", "detail", "name")...)}
}

// rest is a profile of a RESTful interaction.
func rest(action string, subtypes []string, client, server string, person slice, entity slice) profile {
	codes := make([]string, len(subtypes))
	for i, s := range subtypes {
		codes[i] = interaction + s
	}
	return profile{
		known: true,
		rules: []rule{
			coded("type", eventType+"rest"), coded("action", action), must("recorded"), coded("outcome", "0"),
			{path: "subtype", min: 1, max: many},
			{path: "agent", min: 2, max: many},
			{path: "entity", min: 1, max: many},
		},
		subtypes: []slice{{name: "interaction", of: codes, min: 1, max: 1}},
		agents:   []slice{device("client", client), device("server", server), person},
		entities: []slice{entity, transaction()},
	}
}

// ofPatient is the twin of a profile for what concerns a patient.
func ofPatient(parent string) profile {
	return profile{parent: parent, entities: []slice{patient()}}
}

// profiles is the table, by the end of each profile's URL.
func profiles() map[string]profile {
	recipient := user(participation + "IRCP")
	writer := user(participation+"AUT", participation+"INF", participation+"CST")
	const (
		basic                         = "IHE.BasicAudit."
		application, source, receiver = dcm + "110150", dcm + "110153", dcm + "110152"
	)
	return map[string]profile{
		basic + "Read":          rest("R", []string{"read", "vread"}, receiver, source, recipient, data()),
		basic + "Query":         rest("E", []string{"search", "search-type", "search-system"}, source, receiver, recipient, query()),
		basic + "Create":        rest("C", []string{"create"}, source, receiver, writer, data()),
		basic + "Update":        rest("U", []string{"update", "patch"}, source, receiver, writer, data()),
		basic + "Delete":        rest("D", []string{"delete"}, application, provenance+"custodian", writer, data()),
		basic + "PatientRead":   ofPatient(basic + "Read"),
		basic + "PatientQuery":  ofPatient(basic + "Query"),
		basic + "PatientCreate": ofPatient(basic + "Create"),
		basic + "PatientUpdate": ofPatient(basic + "Update"),
		basic + "PatientDelete": ofPatient(basic + "Delete"),

		basic + "OAUTHaccessTokenUse.Minimal":       minimalToken(),
		basic + "OAUTHaccessTokenUse.Comprehensive": wholeToken(application),
		basic + "AuthZconsent":                      decision(application),
		basic + "PrivacyDisclosure.Source":          disclosure(source, receiver),
		"IHE.IUA.71":                                tokenIssue(application, recipient),
	}
}

// minimalToken: whoever used the token is known by its id.
func minimalToken() profile {
	return profile{agents: []slice{{
		name: "oUser", by: "type", of: []string{agentTypes + "UserOauthAgent"}, min: 1, max: many, rules: append([]rule{
			must("type"), {path: "requestor", min: 1, max: 1, is: "true"}, {path: "policy", min: 1, max: 1, begins: jti},
		}, nots("media", "network")...),
	}}}
}

// wholeToken: what the token says is said. It is satisfied also where a person
// has a part that it does not know, which is then not claimed.
func wholeToken(application string) profile {
	return profile{optional: true, agents: []slice{
		{name: "oClient", by: "type", of: []string{application}, min: 1, max: 1, rules: []rule{
			must("type"), must("who"), must("who.identifier.value"), may("network"), not("media"),
		}},
		{name: "oUser", by: "type", of: []string{participation + "IRCP"}, max: 1, rules: []rule{
			must("type"), must("who.identifier"), must("who.identifier.system"), must("who.identifier.value"),
			{path: "requestor", min: 1, max: 1, is: "true"},
			{path: "policy", min: 1, max: 1, begins: jti},
			not("media"), not("network"),
		}},
		{name: "userorg", by: "type", of: []string{roleClass + "PROV"}, max: 1, rules: []rule{must("who")}},
	}}
}

// decision is an authorization that a Consent decided.
func decision(application string) profile {
	return profile{
		rules: []rule{
			not("modifierExtension"), coded("type", dcm+"110113"), coded("action", "E"), must("recorded"), must("outcome"),
			{path: "subtype", min: 1, max: many, among: []string{decisions + "AuthZ-Consent", decisions + "AuthZ-Role"}},
			{path: "agent", min: 2, max: many},
			{path: "entity", min: 2, max: many},
		},
		agents: []slice{
			{name: "client", by: "type", of: []string{application}, min: 1, max: 1, rules: append([]rule{must("who"), must("network")},
				nots("role", "altId", "name", "location", "media", "purposeOfUse")...)},
			{name: "user", by: "type", of: []string{participation + "IRCP"}, min: 1, max: 1, rules: append([]rule{must("who"), {path: "requestor", min: 1, max: 1, is: "true"}},
				nots("altId", "location", "media", "network")...)},
			{name: "userorg", by: "type", of: []string{roleClass + "PROV"}, min: 1, max: 1, rules: append([]rule{must("who"), {path: "requestor", min: 1, max: 1, is: "false"}},
				nots("role", "altId", "name", "location", "policy", "media", "network")...)},
			{name: "authorizer", by: "type", of: []string{securityRole + "authserver"}, min: 1, max: 1, rules: append([]rule{
				{path: "who", min: 1, max: 1, equals: "source.observer"}, {path: "requestor", min: 1, max: 1, is: "false"},
			}, nots("role", "altId", "name", "location", "policy", "media", "network", "purposeOfUse")...)},
		},
		entities: []slice{
			patient(),
			{name: "consent", by: "type", of: []string{resourceType + "Consent"}, min: 1, max: many, rules: []rule{must("what")}},
			{name: "token", by: "type", of: []string{agentTypes + "UserOauthAgent"}, max: 1, rules: []rule{{path: "what.identifier.value", min: 1, max: 1, begins: jti}}},
		},
		closed: []string{"entity"},
	}
}

// disclosure is an export as its source records it.
func disclosure(source, receiver string) profile {
	return profile{
		rules: []rule{
			not("modifierExtension"), coded("type", dcm+"110106"), coded("action", "R"), must("recorded"), must("outcome"),
			{path: "agent", min: 2, max: many},
			{path: "entity", min: 2, max: many},
		},
		subtypes: []slice{{name: "disclosure", of: []string{lifecycle + "disclose"}, min: 1, max: 1}},
		agents: []slice{
			{name: "source", by: "type", of: []string{source}, min: 1, max: 1, rules: []rule{{path: "who", min: 1, max: 1, equals: "source.observer"}, must("network")}},
			{name: "recipient", by: "type", of: []string{receiver}, min: 1, max: 1, rules: []rule{must("who"), must("network")}},
		},
		entities: []slice{patient()},
	}
}

// tokenIssue is ITI-71 of IHE IUA.
func tokenIssue(application string, person slice) profile {
	person.rules = append(person.rules, not("altId"))
	return profile{
		rules: []rule{
			coded("type", dcm+"110114"),
			{path: "subtype", min: 1, max: 1, among: []string{"urn:ihe:event-type-code|ITI-71"}},
			coded("action", "E"), must("recorded"), coded("outcome", "0"),
			{path: "agent", min: 2, max: 3},
			must("entity"),
		},
		agents: []slice{device("client", application), device("auth-server", agentTypes+"AuthzOauthService"), person},
		entities: []slice{
			{name: "token-request", by: "role", of: []string{objectRole + "24"}, min: 1, max: 1, rules: []rule{coded("type", entityType+"2"), not("what"), must("query")}},
			{name: "token-response", by: "role", of: []string{objectRole + "13"}, max: 1, rules: []rule{
				coded("type", entityType+"2"), must("what"), {path: "detail", min: 1, max: many},
			}},
		},
		closed: []string{"agent", "entity"},
	}
}
