// Package mongo owns the store in a MongoDB replica set or sharded cluster. It
// decides nothing, which is consent's, and understands no query, which is
// fhir/search's.
//
// # Collections
//
//	full      the current version of every resource, in full
//	basic     the current version of the basic editions
//	versions  the former versions of both
//	events    the record of access, one document an event
//	epochs    when the facts under a key last changed; "" is the lock of writers
//	classes   which homes and labels there are, by type
//	meta      the schema and the salt of positions
//
// A document of full or basic carries the bytes of the resource as binary, never
// as BSON numbers; its place in the order, n, which begins in a keyed hash of
// the patient's id; the patient, p; and its index entries, x, as one array of
// strings that sort as the embedded store's keys do. One index, {x, n}, serves
// every search: an entry, or a range of entries, within the stretch of n that is
// one patient's, in the order of n without a sort. The type of a resource is an
// entry like any other, so a patient's resources of a type are one such scan.
//
// # The universe
//
// What a caller may see is put into the filter, before sort, limit and count, as
// positive conditions: the patient, and the classes of his rows that exist. A
// class is all of a row that a decision looks at besides the patient, which is
// its home and its labels; few exist, and all are known beforehand. Rows of
// several patients, and rows whose labels are too rare to have a class, are
// loose: they match the filter and each is admitted by itself as the answer is
// read, before it can count or take up a place.
//
// # Writes
//
// A write is one transaction of snapshot read concern and majority write
// concern. Its first act raises the number in the lock, so writers of all
// processes come one after the other: whoever loses is told at once, and begins
// again on the newest state. That number is the commit's, and stands with every
// key whose facts the write changed.
//
// # Reads
//
// A snapshot is a cluster time. It begins with one read of the keys that changed
// since the last, which requests that arrive together share, and everything read
// after it is read at its time. So a Consent acknowledged by one process is in
// force in every other with the next request, and no cached fact outlives the
// write that changed it.
package mongo
