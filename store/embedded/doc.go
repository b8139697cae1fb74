// Package embedded owns the default store: one process, one directory, Pebble.
// It keeps resources, their versions, their postings and the log of accesses,
// and answers reads and searches from a universe. It does not decide what a
// universe holds, which is consent's; it does not make index entries or read
// queries, which is fhir/search's.
//
// Every resource has a row number: the ordinal of its patient in the high 28
// bits, the row's own sequence in the low 36. Postings are ordered by that
// number, so what belongs to one patient lies together in every list, and a
// walk seeks from patient to patient of the universe without reading what lies
// between. AuditEvents alone are numbered by their records, the newest first: nobody
// but the custodian and the regulator walks over those of many patients, and they
// ask for a time, or for what was last (eventrows.go, blocks.go). keys.go has the
// layout, plan.go what leads a walk, interval.go how times narrow it, joins.go what
// is asked of other resources and rarer.go when they lead, ordered.go the other way
// through a type, in the order of a sort key, tally.go how matches are counted
// without their rows, marks.go the views kept for later pages, and tidy.go how a
// store at rest comes to have each patient's rows in one place.
//
// Every version leaves a key among the changes of its type, by time: the history
// of a type is a walk along them, and that of all types one along each, merged, so
// that a page costs as much as it holds, whatever the store does. Who is asked what
// was current at a moment passes over what was replaced by then, of which the key
// tells; changes.go has the walk.
//
// The records of the log are leaves of a Merkle tree. They go into the log with the
// group commit, and the tree follows: a record is durable when it is acknowledged,
// and a leaf after the next Grow, which the server asks for at intervals. Until
// then it is not covered by what is signed; that is the merge delay of Certificate
// Transparency. A copy has the same leaves in the same order; tree.go has the tree,
// leaves.go the way from a leaf to its record and back.
//
// The layout is "vitrine embedded 9": since 5, postings carry a mark of rows that
// cannot be counted without a look at them, and every row has one by which all are
// counted; since 6, there are changes by time; since 7, what the custodian keeps for
// all can be found among what others contributed, and what they contributed has
// entries of what it says itself (search.Indexer.Said); since 8, events are found by
// address, by the identifiers of agents and by what is not the usual server, whose
// name the store keeps; since 9, an event's record is its row, and events lie in the
// order of records. A store of another layout is refused.
package embedded
