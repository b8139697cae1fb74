package fhir

import "strconv"

// Severity is OperationOutcome.issue.severity.
type Severity string

// The severities of R4 (valueset-issue-severity).
const (
	SeverityFatal       Severity = "fatal"
	SeverityError       Severity = "error"
	SeverityWarning     Severity = "warning"
	SeverityInformation Severity = "information"
)

// IssueCode is OperationOutcome.issue.code (valueset-issue-type).
type IssueCode string

// The issue types this server reports.
const (
	CodeInvalid       IssueCode = "invalid"
	CodeStructure     IssueCode = "structure"
	CodeRequired      IssueCode = "required"
	CodeValue         IssueCode = "value"
	CodeInvariant     IssueCode = "invariant"
	CodeSecurity      IssueCode = "security"
	CodeLogin         IssueCode = "login"
	CodeForbidden     IssueCode = "forbidden"
	CodeSuppressed    IssueCode = "suppressed"
	CodeNotSupported  IssueCode = "not-supported"
	CodeDuplicate     IssueCode = "duplicate"
	CodeNotFound      IssueCode = "not-found"
	CodeDeleted       IssueCode = "deleted"
	CodeTooLong       IssueCode = "too-long"
	CodeCodeInvalid   IssueCode = "code-invalid"
	CodeTooCostly     IssueCode = "too-costly"
	CodeBusinessRule  IssueCode = "business-rule"
	CodeConflict      IssueCode = "conflict"
	CodeException     IssueCode = "exception"
	CodeTimeout       IssueCode = "timeout"
	CodeThrottled     IssueCode = "throttled"
	CodeTransient     IssueCode = "transient"
	CodeMultiple      IssueCode = "multiple-matches"
	CodeInformational IssueCode = "informational"
)

// Issue is one OperationOutcome.issue.
type Issue struct {
	Severity Severity
	Code     IssueCode
	// Detail is a code of this server's closed catalogue, such as
	// "forbidden-purpose"; it becomes details.coding. May be empty.
	Detail string
	// Text says what is wrong and what would be right; it becomes
	// details.text, and with the place in front diagnostics when Line is set.
	Text string
	// Expression is the FHIRPath of the element, such as
	// "Patient.name[0].family". May be empty.
	Expression string
	// Line and Column are one-based places in the body; zero when unknown.
	Line, Column int
}

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
