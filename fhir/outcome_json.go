package fhir

import "strconv"

// OutcomeSystem is the CodeSystem of Issue.Detail.
const OutcomeSystem = "https://vitrine.example/CodeSystem/outcome"

// AppendOutcome appends an OperationOutcome (R4 operationoutcome.html) of the
// issues. An issue that says too little is the worse for it: without a severity
// it is an error, without a code an exception; and no issues at all are one
// such issue, since R4 asks for at least one.
func AppendOutcome(dst []byte, issues ...Issue) []byte {
	if len(issues) == 0 {
		issues = []Issue{{}}
	}
	dst = append(dst, `{"resourceType":"OperationOutcome","issue":[`...)
	for i, issue := range issues {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIssue(dst, issue)
	}
	return append(dst, `]}`...)
}

func appendIssue(dst []byte, issue Issue) []byte {
	if issue.Severity == "" {
		issue.Severity = SeverityError
	}
	if issue.Code == "" {
		issue.Code = CodeException
	}
	dst = append(dst, `{"severity":`...)
	dst = AppendString(dst, string(issue.Severity))
	dst = append(dst, `,"code":`...)
	dst = AppendString(dst, string(issue.Code))
	dst = appendDetails(dst, issue)
	if issue.Line > 0 {
		dst = append(dst, `,"diagnostics":`...)
		dst = AppendString(dst, diagnostics(issue))
	}
	if issue.Expression != "" {
		dst = append(dst, `,"expression":[`...)
		dst = AppendString(dst, issue.Expression)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendDetails(dst []byte, issue Issue) []byte {
	if issue.Detail == "" && issue.Text == "" {
		return dst
	}
	dst = append(dst, `,"details":{`...)
	if issue.Detail != "" {
		dst = append(dst, `"coding":[{"system":"`+OutcomeSystem+`","code":`...)
		dst = AppendString(dst, issue.Detail)
		dst = append(dst, `}]`...)
		if issue.Text != "" {
			dst = append(dst, ',')
		}
	}
	if issue.Text != "" {
		dst = append(dst, `"text":`...)
		dst = AppendString(dst, issue.Text)
	}
	return append(dst, '}')
}

func diagnostics(issue Issue) string {
	at := "line " + strconv.Itoa(issue.Line)
	if issue.Column > 0 {
		at += ", column " + strconv.Itoa(issue.Column)
	}
	if issue.Text == "" {
		return at
	}
	return at + ": " + issue.Text
}
