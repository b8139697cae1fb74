package fhir

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
	// details.text (and diagnostics when Line is set).
	Text string
	// Expression is the FHIRPath of the element, such as
	// "Patient.name[0].family". May be empty.
	Expression string
	// Line and Column are one-based places in the body; zero when unknown.
	Line, Column int
}
