// Package search owns what a search means: a search string becomes a Query or a
// Refusal that names what is wrong, and a resource becomes the index entries
// that queries are held against. It does not walk an index, which is the
// store's, nor know who asks, which is consent's.
//
// An entry is a parameter and a value. The first byte of a value is a tag that
// says how the rest is made; NUL separates parts and occurs in none of them,
// because what contains it is malformed and not indexed.
//
//	token      c code, and s system NUL code; when the code has case also
//	           f and g, the same with the code folded; o system NUL code NUL
//	           value for an identifier with a type, both folded
//	string     t folded NUL exact; m folded, for each further word of a name; l when
//	           the folded text was cut
//	reference  R Type/id, Type/id/_history/v, a URL, a URN, or a canonical with
//	           and without its |version; i and a token for Reference.identifier
//	uri        u uri; canonicals with and without their |version
//	date       d low high when the range is a day at most, D low high otherwise
//	number     n low high when it is one number, N low high otherwise
//	quantity   v low high; s system NUL code NUL low high, in base units when they
//	           are UCUM's; u code-or-unit NUL low high; capitals where it is more
//	           than one number
//	special    p latitude longitude, of Location.near
//	composite  the value of the first component, escaped, then that of the last;
//	           a token with two numbers is the escaped token, x, and the first
//	           number as the low and the second as the high bound
//
// A value of which nothing can be compared, such as a concept that is text alone,
// has the entry - without more.
//
// Values longer than 1 KiB are cut and end in a hash. low and high are eight
// big-endian bytes: microseconds for times, and for numbers a decimal exponent
// with sixteen decimal digits. Splitting narrow from wide ranges lets a bound on
// one end confine the other too, so that every comparison of times of day or of
// single numbers reads one contiguous run of an index.
//
// The parameters _text, _content, _list, _query and _filter make no entries, and
// neither do those that R4 gives no expression.
package search
