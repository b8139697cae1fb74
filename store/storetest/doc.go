// Package storetest owns the suite that every store must pass, one file a
// promise. It does not know how a store keeps anything, which is the store's
// own tests' business.
package storetest

import (
	"testing"

	"vitrine/store"
)

// Run holds the stores that open returns to the promises of package store. open
// makes an empty store that makes index entries for AuditEvents, and closes it
// when the test ends; it is called by several tests at a time.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	suite := []struct {
		promise string
		test    func(*testing.T, store.Store)
	}{
		{"reads", testReads},
		{"reads of several owners", testOwners},
		{"deletion", testDeletion},
		{"versions", testVersions},
		{"a former version is admitted by what it was", testFormerOwners},
		{"history", testHistory},
		{"history of types", testChanges},
		{"a history of types tells each version", testChangesTell},
		{"a history of types stays in its universe", testChangesWithin},
		{"a history of types while data change", testChangesStay},
		{"editions", testEditions},
		{"an unchanged edition stays", testUnchanged},
		{"an unchanged edition is filed anew", testRefiled},
		{"universes", testUniverses},
		{"custodian", testCustodian},
		{"labels of every byte", testLabels},
		{"admission fails closed", testAdmissionError},
		{"search by every operator", testOperators},
		{"search by a part of a text", testContains},
		{"search by what a terminology names", testNamed},
		{"search by what is not", testNegation},
		{"search by what an edition lacks", testNegationEditions},
		{"groups of clauses", testGroups},
		{"readings", testReadings},
		{"chains", testChains},
		{"reverse chains", testReferred},
		{"joins in both editions", testJoinEditions},
		{"joins by canonical", testCanonicalJoins},
		{"joins within a narrowed universe", testJoinsNarrowed},
		{"joins follow a change", testJoinsFollowChange},
		{"search follows a change", testReindex},
		{"search in both editions", testSearchEditions},
		{"a row of several patients is found once", testSeveralOnce},
		{"candidates by every operator", testLinks},
		{"budget", testHiddenIsFree},
		{"what is hidden costs nothing", testBounded},
		{"what was deleted comes back", testReturns},
		{"sort", testSort},
		{"sort in both editions", testSortEditions},
		{"places of a sort", testSortPlaces},
		{"ties of a sort", testSortTies},
		{"positions are checked", testPositionsChecked},
		{"pages", testPages},
		{"pages of a sort", testSortedPages},
		{"pages while data change", testPagesUnderChange},
		{"cursors are checked", testBadCursor},
		{"pages at a mark", testMarks},
		{"a view at a mark", testMarkReads},
		{"unknown marks", testUnknownMarks},
		{"totals", testTotals},
		{"plans", testExplain},
		{"epochs", testEpochs},
		{"snapshots", testSnapshots},
		{"atomic writes", testAtomic},
		{"writers come one after the other", testWriters},
		{"a write reads itself", testReadsItself},
		{"states", testStates},
		{"states are bounded", testStateBounds},
		{"states are kept as a whole with all else", testStatesAtomic},
		{"a write reads the states it sets", testStatesReadThemselves},
		{"states that are counted in", testStatesCount},
		{"receipts", testReceipts},
		{"audit events", testAuditEvents},
		{"audit events of a write", testAuditWithWrite},
		{"audit events by every entry", testEveryEntry},
		{"audit events by address", testAddresses},
		{"audit events by whatever is asked", testEventSearches},
		{"one's own audit events while more come", testOwnEvents},
		{"the tree of the log", testTree},
		{"the tree of the log of nothing", testTreeOfNothing},
		{"the tree of the log however it grows", testTreeGrows},
		{"the tree of the log of a copy", func(t *testing.T, st store.Store) { testCopiedTree(t, st, open(t)) }},
		{"records that are put away", func(t *testing.T, st store.Store) { testPutAway(t, st, open(t)) }},
		{"backup", testBackup},
		{"a copy is the same store", func(t *testing.T, st store.Store) { testCopy(t, st, open(t)) }},
		{"a closed store", testClosed},
		{"search equals the naive evaluation", testProperty},
		{"search equals the naive evaluation among many", testCrowd},
	}
	for _, s := range suite {
		t.Run(s.promise, func(t *testing.T) {
			t.Parallel() // each with a store of its own
			s.test(t, open(t))
		})
	}
}
