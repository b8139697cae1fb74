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
//	states    small values by key, with an end: sessions, what was revoked
//	tiles     the hashes of the record of access as a Merkle tree
//	meta      the schema, the salt of positions, the mark of a copy, the ticks
//	undo      on a standalone server, what a write under way has changed
//
// A document of full or basic carries the bytes of the resource as binary, never
// as BSON numbers; its place in the order, n, which begins in a keyed hash of
// the patient's id; the patient, p; and its index entries, x, as one array of
// strings that sort as the embedded store's keys do. One index, {x, n}, serves
// every search: an entry, or a range of entries, within the stretch of n that is
// one patient's, in the order of n without a sort. The type of a resource is an
// entry like any other, so a patient's resources of a type are one such scan.
//
// # Indexes
//
// Every index is paid for with every write; each has its reason.
//
//	full, basic  {x, n}     every search; some 27 entries a resource, the dearest
//	full         {n}        copies of the store, and the shard key
//	basic        {n}        the shard key; a replica set could do without
//	full         {t, u: -1, _id}
//	                        the history of types: what is current, by time
//	versions     {f, i: -1} history, and the shard key
//	versions     {t, u: -1, f, i: -1}
//	                        the history of types: what was, by time
//	events       {x, n}     what who reads everything asks of the record of access
//	events       {s, n}     who looked at a patient, and the shard key
//	events       {n}        the record of access by date, and copies of it
//	events       {l}        the leaves of the tree, and what is none yet
//	epochs       {at}       what changed since the last snapshot
//
// Searches name the index they go by, so a store that lacks one is not opened.
//
// A scan of {x, n} is bounded by one condition on x. The servers would try all,
// with every search that is new to them, so the filter shows them those that name
// entries and hides the others from the planner, as $nor of $nor; see weighed. The
// plans of the searches that matter are kept in testdata/plans: none scans a
// collection, and none sorts in memory but for a range or a prefix among all
// patients, whose entries the index has in the order of their values.
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
// # Clauses
//
// What entries answer the servers are asked: alternatives and groups as $or and
// $and, their negation as $nor, a value that is missing as the negation of every
// entry of its parameter, a part of a text as a pattern over those entries. No
// index leads to what is not, so the type does, or what else is asked.
//
// What leads to other resources, a chain or _has, is taken from the end that has
// few rows. The far end is searched in the same universe, at the same moment; the
// entries by which rows name what was found there go into the filter or, when they
// are many, are looked up as rows come. Where the far end has too many, the rows
// of the near one are asked about, some hundreds at a time. Neither is known
// beforehand, because counts of everything would tell of what is hidden: both are
// tried, and the first that comes to an end answers.
//
// What has to be read is read last, of rows that satisfy all else, and costs the
// budget as much as several rows.
//
// # Writes
//
// A transaction has snapshot read concern and is acknowledged when a majority has
// it in its journal. Its first act raises the number in the lock, so writers of
// all processes come one after the other: whoever loses is told at once, and
// begins again on the newest state. That number is the commit's, and stands with
// every key whose facts the transaction changed.
//
// The writes that wait in one process share a transaction: each sees those
// before it, and one that refuses by itself takes back its own part alone. Where
// that cannot be told apart, because some of it was on the servers or they failed,
// each is run again by itself.
//
// # Reads
//
// A snapshot is a cluster time: that of a small write, the tick, which only a
// primary that a majority follows can acknowledge. Then the keys that changed
// since the last snapshot are read, at that time, as is everything after. Requests
// that arrive together share both steps.
//
// # What must hear of changes
//
// Two things that writers change outlive a request in a process: the epochs, by
// which the gate's cached facts are fresh or are not, and the classes, of which
// the lock tells when one came. Every snapshot asks for news of both before it is
// used, so nothing listens to change streams. They tell of a write some time after
// it was acknowledged, and a Consent must be in force in every process with the
// next request; who would wait for the stream to catch up had to ask how far it
// must, which is the tick again. The schema, the salt and the indexes are looked
// at when the store is opened, and do not change under it.
//
// # The history of types
//
// Every version of the full edition carries its type, once, and a former one when
// it was replaced. A page is merged from two finds, of what is current and of what
// was, each along its index from the place where the page before ended; several
// types are as many stretches of one index, which the servers merge.
//
// # The tree
//
// A record of access is one insertion, whoever of several servers makes it, and has
// no place in the tree then: the field l is not there, which the index {l} has
// before all leaves. Grow takes what has no place, in the order in which it came as
// far as the servers tell, and writes places, tiles and the head as one transaction
// that takes the head first: of two who grow the tree one begins again. It does not
// touch the lock of writers. On a standalone server the head is written last, and
// what has a place beyond it is placed anew.
//
// A tile has the hashes of 256 nodes of a level one behind the other, and as many of
// them as there are. A copy of a store has its leaves in the same order.
//
// # Sharding
//
// No sharded cluster has been run with this store so far: what is said here
// follows from the servers' documentation and from the plans on a replica set.
//
//	full, basic  {n: 1}        n begins with the keyed hash of the patient's id
//	versions     {f: 1}        the resource that they are versions of
//	events       {s: 1, n: 1}  the same hash, or one drawn where there is no
//	                           patient; then time
//
// The other collections stay on one shard, the first of the database, and must
// not be moved apart: a transaction begins at the lock, so that shard coordinates
// every commit, and a tick that follows an acknowledged commit there has a later
// time than it. "vitrine store init" shards the collections itself, because there
// is nothing to choose: every filter here is written for these keys, and a
// collection that was left unsharded would fill one shard without a word. It
// needs the role clusterManager, as no other command does; the same by hand:
//
//	sh.shardCollection("vitrine.full",     {n: 1})
//	sh.shardCollection("vitrine.basic",    {n: 1})
//	sh.shardCollection("vitrine.versions", {f: 1})
//	sh.shardCollection("vitrine.events",   {s: 1, n: 1})
//
// A patient's rows lie in one run of n, in both editions, and that is as a rule
// one chunk; a long one can still be split. Hashes are uniform, so chunks fill
// evenly; who loads much at once splits and moves them beforehand. Events are
// written all over the cluster at any time, and those of one patient lie
// together in the order of time.
//
// One shard, or as many as there are patients asked about, answers a search of a
// patient's rows (testdata/plans/one-patient-*, several-patients-*), of the
// directory, of candidates once they are found, the history of a resource, and
// who looked at a patient as he himself asks (events-of-ones-own).
//
// All shards answer, each from an index and for its part, a read by id, because
// an id does not tell the patient; the look that a write takes at what it
// replaces; a search of whoever reads everything (custodian-*, quarantine-*,
// patients-by-prefix-of-a-name), the history of types, of any patient
// (any-patient-by-code) or of a
// contributor's own; the enumeration of candidates (candidates-by-link, the first
// command); and the record of access by agent, entity, date or id (events-by-*).
// Those with an order are merged by mongos, which asks each shard for a page.
//
// Every command is one that sharded collections allow with these keys. Changes
// name _id and the whole shard key, and never change it: a row that moves to
// another patient is taken out and put in. Upserts and the findAndModify of the
// lock are of collections that are not sharded. Outside transactions snapshots
// are read by find and aggregate alone. Shards may have no arbiters, which
// transactions over several shards refuse. _id is unique on each shard by itself
// and not over all; it is the lock that keeps two writers from the same id.
//
// # What the lock costs
//
// Writers come one after the other, over all processes and all shards. The
// writes that wait in one process share a transaction, so it is commits that the
// lock counts, not writes. BenchmarkCommits, resources one at a time, on two
// crowded cores that the server had a share of, its journal on a local disk:
//
//	1 process of  1 writer     130 to 180 commits/s,   130 to   180 writes/s
//	2 processes of 1           200 to 240              200 to   240
//	1 process of 64             90 to 120            2,800 to 3,900
//	2 processes of 64           60 to  90            2,000 to 3,000
//
// More processes do not write faster, and a little slower: who loses the lock
// begins again.
//
// On a replica set over a network a commit also waits for the farther of two
// nodes, and on a cluster for the two-phase commit between the shard of the lock
// and that of the patient: reckon 5 to 15 ms, 70 to 200 commits a second, for the
// whole cluster, however many shards it has. 10^10 resources in ten years are 32
// a second on average. Shards therefore multiply what can be stored and read, not
// how often can be committed. What would lift that is a lock for each of some
// number of ranges of n, taken in order by a write that touches several, with the
// epochs of a key counted by the lock of its range; nothing else counts commits.
//
// A snapshot costs a process one small write, of its own tick among 256, and one
// read, however many requests share it, and one enquiry is under way at a time.
// Neither touches the lock. On a cluster a shard that has seen no write since the
// time of the snapshot makes an empty one before it answers.
//
// # Size
//
// Measured with records of Synthea, compressed by the servers (snappy, their
// default), in bytes a document; BenchmarkSize measures it again.
//
//	             data  _id  {x, n}  others
//	full          695   33   1,047   26 {n}
//	basic         380   32     625   34 {n}; one resource in twelve has this edition
//	versions      347   78       -   71 {f, i}
//	events        148   46     316   46 {n}, 50 {s, n}
//
// A resource takes 1.9 kB, three fifths of it index; an event 0.6 kB. Files of an
// index were up to twice as large for what they had free. With zstd in place of
// snappy (wiredTigerCollectionBlockCompressor) data take a third less.
//
// For 6 million patients and 10^10 resources, a quarter of them with one former
// version, and ten years of 200 events a patient and year, none of it tried:
//
//	full and basic   18.9 TB, of which index 11.7
//	versions          1.2 TB
//	events            7.3 TB, of which index 5.5
//	files            27 TB as measured, 40 with what they have free, in each of
//	                 three copies
//	shards           16 of three nodes with 4 TB of SSD each, 2.5 TB in files
//	memory           128 GB a node: inner pages of the indexes are some 2 GB a
//	                 shard; the rest holds the patients who are under care
//
// A new resource changes some 30 leaves of indexes, nearly each another. At ten
// times the average rate that is 10,000 a second, or 600 a shard, most of them
// read from disk first: that asks for SSD. The lock bears it for as long as writes
// that wait share transactions. A page of a patient's rows reads one to three
// leaves of {x, n}, and the rows where they lie: together, if they were written
// together.
package mongo
