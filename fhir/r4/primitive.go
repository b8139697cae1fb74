package r4

// Primitive tells the primitive types apart. The zero value is no primitive.
type Primitive uint8

// The primitive types (R4 datatypes.html#primitive).
const (
	PrimitiveBase64Binary Primitive = iota + 1
	PrimitiveBoolean
	PrimitiveCanonical
	PrimitiveCode
	PrimitiveDate
	PrimitiveDateTime
	PrimitiveDecimal
	PrimitiveID
	PrimitiveInstant
	PrimitiveInteger
	PrimitiveMarkdown
	PrimitiveOID
	PrimitivePositiveInt
	PrimitiveString
	PrimitiveTime
	PrimitiveUnsignedInt
	PrimitiveURI
	PrimitiveURL
	PrimitiveUUID
	PrimitiveXHTML
)

func primitiveOf(name string) Primitive {
	names := [...]string{
		"base64Binary", "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "instant", "integer",
		"markdown", "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid", "xhtml",
	}
	for i, n := range names {
		if n == name {
			return Primitive(i + 1)
		}
	}
	return 0
}
