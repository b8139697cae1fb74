package embedded

import "sync/atomic"

// Stats are figures of a store since it was opened, for whoever measures it. They
// hold no ids, but Examined tells of rows that are hidden: no caller may see them.
type Stats struct {
	Writes, Records, Snapshots, Searches uint64
	// Examined rows were asked for by walks, whether they were admitted or not.
	Examined uint64
	// Shelved audit records can be found as AuditEvents; Backlog ones not yet;
	// Unreadable ones never.
	Shelved, Backlog, Unreadable uint64
	// DiskBytes is what the directory holds; MemTableBytes and CacheBytes what
	// is in memory.
	DiskBytes, MemTableBytes uint64
	CacheBytes               int64
	CacheHits, CacheMisses   int64
	// Compactions under way and bytes of the log of writes.
	Compactions int64
	LogBytes    uint64
}

type figures struct {
	writes, records, snapshots, searches, examined, shelved, unreadable atomic.Uint64
}

// Stats returns the present figures.
func (db *DB) Stats() Stats {
	f := &db.figures
	s := Stats{
		Writes: f.writes.Load(), Records: f.records.Load(), Snapshots: f.snapshots.Load(), Searches: f.searches.Load(),
		Examined: f.examined.Load(),
		Shelved:  f.shelved.Load(), Unreadable: f.unreadable.Load(),
	}
	if settled, at := db.log.settled(), db.shelf.at.Load(); settled > at {
		s.Backlog = settled - at
	}
	if db.life.Enter() != nil {
		return s
	}
	defer db.life.Leave()
	m := db.eng.Metrics()
	s.DiskBytes, s.MemTableBytes, s.LogBytes = m.DiskSpaceUsage(), m.MemTable.Size, m.WAL.Size
	s.CacheBytes, s.CacheHits, s.CacheMisses = m.BlockCache.Size, m.BlockCache.Hits, m.BlockCache.Misses
	s.Compactions = m.Compact.NumInProgress
	return s
}
