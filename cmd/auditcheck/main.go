// Command auditcheck holds an export of the record of access (vitrine audit
// export) against what was signed, with the public key alone: it exits with 0 when
// every record is the one that was recorded, or with 1 and the first place where
// one is not. It imports no store and asks no server: a verifier must not trust
// the writer.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
	"vitrine/fhir"
)

// The exits.
const (
	exitHolds = iota
	exitBreaks
	exitUsage
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// command is what was asked for.
type command struct {
	key, since string
	witnesses  []string
	mayBeGone  int64
	segments   []string
	ndjson     bool
	quiet      bool
	// last is the last record of the export under way that is there.
	last []byte
	out  *bufio.Writer
	err  io.Writer
}

const usage = `auditcheck [--key FILE] [--since FILE] [--witness KEY] [--segment DIR] [--may-be-gone INDEX] [--ndjson] [--quiet] DIR...

Checks exports of the record of access that "vitrine audit export" made: that every record is there, in its place, as it was when
the log was signed, and that not a byte of the export is anything else. It needs no server, no network and no password; it reads
each file once, and as little memory does for a billion records as for ten. That no records follow it cannot prove: it says when the
last one is of, and whether that is as late as it should be is for whoever asks to say. A checkpoint has no time.

It exits with 0 and says what holds; or with 1 and names the first place where it breaks: the file, the byte in it, which record of
the log that is, and whose event it says it is; with 2 when it was not told what to do.

  auditcheck ./log                          trusts the key that is in the export, and says so: who made the export could have made
                                            the key as well
  auditcheck --key ministry.pub ./log       trusts the keys in the file alone, and those that one of them named, or that named it:
                                            a log whose key was rotated is checked with an older key, too
  auditcheck --key ministry.pub --witness KEY ./log
                                            wants a checkpoint that this witness signed
  auditcheck --key ministry.pub --since last-year/checkpoint ./log
                                            proves as well that the log goes on from the one that was seen last year
  auditcheck --ndjson ./log > events.ndjson writes each event as a FHIR AuditEvent, a line each; what was written before it ended
                                            with 1 is what holds

Old records may be moved out of the store ("vitrine audit archive"). A segment is checked like an export, by itself; with --segment an
export takes from there what it has no more:

  auditcheck --segment ./2019 --segment ./2020 ./log

Records that were kept for as long as the law says may be deleted. The tree keeps their hashes, so that nothing can be put in their
place; what is gone is a break all the same unless --may-be-gone says before which index it may be.

When the key that signs was lost, nothing new can be signed with it, and a new key cannot be vouched for by the old one. What the old
key signed stays proved. Publish the new key where the old one was published, and give both, one a line, in --key: every checkpoint
of either is then held against the one tree, so the log is proved to go on across the change.

`

func run(args []string, out, errs io.Writer) int {
	c := command{out: bufio.NewWriterSize(out, 1<<16), err: errs}
	flags := flag.NewFlagSet("auditcheck", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		c.say("%s", usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&c.key, "key", "", "a `FILE` with the verifier keys to trust, a line each")
	flags.StringVar(&c.since, "since", "", "a `FILE` with a signed checkpoint seen before")
	flags.Func("witness", "the verifier `KEY` of a witness whose signatures to trust; may be given several times", func(key string) error {
		c.witnesses = append(c.witnesses, key)
		return nil
	})
	flags.Int64Var(&c.mayBeGone, "may-be-gone", 0, "records before this `INDEX` may have been deleted")
	flags.Func("segment", "a `DIRECTORY` to which records were moved; may be given several times", func(dir string) error {
		c.segments = append(c.segments, dir)
		return nil
	})
	flags.BoolVar(&c.ndjson, "ndjson", false, "write the events to standard output, a line each")
	flags.BoolVar(&c.quiet, "quiet", false, "no progress")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitHolds
	case err != nil:
		return exitUsage
	case flags.NArg() == 0:
		flags.Usage()
		return exitUsage
	}
	for _, dir := range flags.Args() {
		if strings.HasPrefix(dir, "-") {
			c.say("auditcheck: flags come before directories: %s would not be heeded", dir)
			return exitUsage
		}
	}
	exit := exitHolds
	for _, dir := range flags.Args() {
		exit = max(exit, c.check(dir))
	}
	if err := c.out.Flush(); err != nil {
		c.say("auditcheck: %v", err)
		return max(exit, exitBreaks)
	}
	return exit
}

func (c *command) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.err, format+"\n", args...)
}

// check checks one export.
func (c *command) check(dir string) int {
	check, err := c.read()
	if err != nil {
		c.say("auditcheck: %v", err)
		return exitUsage
	}
	check.Progress = c.progress(dir)
	c.last = c.last[:0]
	check.Each = c.record
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		c.say("auditcheck: %s is no directory that can be read", dir)
		return exitUsage
	}
	got, err := check.Run(os.DirFS(dir))
	if err != nil {
		c.say("%s BREAKS: %v%s", dir, err, c.hint(err))
		return exitBreaks
	}
	c.holds(dir, &got)
	return exitHolds
}

// hint is what else than a change there may be behind a break.
func (c *command) hint(err error) string {
	var b *ledger.Break
	switch {
	case !errors.As(err, &b):
		return ""
	case b.File == ledger.ManifestFile:
		return "\n  an export that was interrupted has none yet: give \"vitrine audit export\" once more"
	case b.Why == ledger.WhyUntrusted && c.key != "":
		return "\n  is " + c.key + " the key of this log? Of one whose key was lost, give that one and the one after it (vitrine audit key prints all)"
	case b.Why == ledger.WhyRemoved:
		return "\n  if it was moved out of the store in order, --segment says where to; if it was deleted in order, --may-be-gone says before which index"
	default:
		return ""
	}
}

// read makes the check that the flags ask for.
func (c *command) read() (*ledger.Check, error) {
	check := &ledger.Check{MayBeGone: c.mayBeGone}
	for _, dir := range c.segments {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--segment: %s is no directory that can be read", dir)
		}
		check.Segments = append(check.Segments, os.DirFS(dir))
	}
	if c.key != "" {
		text, err := os.ReadFile(c.key)
		if err != nil {
			return nil, err
		}
		if check.Keys, _, err = ledger.ParseKeys(strings.TrimRight(string(text), "\n") + "\n"); err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
	}
	if c.since != "" {
		raw, err := os.ReadFile(c.since)
		if err != nil {
			return nil, err
		}
		check.Since = raw
	}
	for _, key := range c.witnesses {
		v, err := ledger.ParseKey(key)
		if err != nil {
			return nil, fmt.Errorf("--witness: %w", err)
		}
		check.Witnesses = append(check.Witnesses, note.Verifier(v))
	}
	return check, nil
}

// progressEvery is how many records go by between two words about them.
const progressEvery = 1 << 18

// progress says now and then how far it is, when there is much to do.
func (c *command) progress(dir string) func(done, size int64) {
	return func(done, size int64) {
		if !c.quiet && done > 0 && done%progressEvery == 0 {
			c.say("%s: %d of %d records hold so far", dir, done, size)
		}
	}
}

// record takes the next record; of one that is gone there is nothing to take.
func (c *command) record(index int64, record []byte) error {
	if record == nil {
		return nil
	}
	c.last = append(c.last[:0], record...)
	if !c.ndjson {
		return nil
	}
	return c.event(index, record)
}

// event writes a record as an AuditEvent.
func (c *command) event(index int64, record []byte) error {
	e, err := audit.Decode(record)
	if errors.Is(err, audit.ErrRecord) {
		c.say("record %d is as it was recorded, and of a version that is not known here", index)
		err = nil
	} else if err == nil {
		_, err = c.out.Write(append(e.AppendJSON(nil, ledger.EventID(e.ID), consent.EditionFull), '\n'))
	}
	return err
}

// verdict says what was proved: on standard output, unless events are written there.
func (c *command) verdict(format string, args ...any) {
	if c.ndjson {
		c.say(format, args...)
		return
	}
	_, _ = fmt.Fprintf(c.out, format+"\n", args...)
}

// until says when the last record is of, where it can be told.
func (c *command) until() string {
	e, err := audit.Decode(c.last)
	if err != nil {
		return ""
	}
	return ", the last of " + fhir.FormatInstant(e.Recorded)
}

// sizes are a list as it is read aloud.
func sizes(all []int64) string {
	words := make([]string, len(all))
	for i, n := range all {
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, ", ")
}

// holds says what was proved.
func (c *command) holds(dir string, got *ledger.Result) {
	if whole := (ledger.Span{To: got.Size}); got.Span == whole {
		c.verdict("%s HOLDS: all %d records of %s, root %s%s", dir, got.Size, got.Origin, got.Root, c.until())
	} else {
		c.verdict("%s HOLDS: records %d to %d of the %d of %s, root %s%s", dir, got.Span.From, got.Span.To-1, got.Size, got.Origin, got.Root, c.until())
	}
	if got.Moved > 0 {
		c.verdict("  %d of them were moved to the segments given, and are there as they were", got.Moved)
	}
	if got.Gone > 0 {
		c.verdict("  %d of them are gone, which was said to be in order:", got.Gone)
	}
	for _, s := range got.Spans {
		c.verdict("    records %d to %d", s.From, s.To-1)
	}
	if len(got.Earlier) > 0 {
		c.verdict("  the log goes on from its checkpoints of %s records", sizes(got.Earlier))
	}
	if len(got.Cosigned) > 0 {
		c.verdict("  witnesses signed it at %s records", sizes(got.Cosigned))
	}
	if got.OwnKey {
		c.verdict("  the keys are those in the export: give --key to check with one that came another way")
	}
	if got.OwnWitnesses && len(got.Cosigned) > 0 {
		c.verdict("  the keys of the witnesses are those in the export: give --witness to check with one that came another way")
	}
}
