package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// auditCommand looks after the record of access as others can check it.
type auditCommand struct {
	Export auditExportCommand `cmd:"" help:"Write the record of access into a directory that auditcheck can check, or what came since."`
	Key    auditKeyCommand    `cmd:"" help:"Print the public key that the record of access is checked with."`
	Rotate auditRotateCommand `cmd:"" help:"Sign the record of access with a new key from now on."`

	Archive auditArchiveCommand `cmd:"" help:"Move old records out of the store, into a segment that auditcheck can check."`
	Expire  auditExpireCommand  `cmd:"" help:"Delete from segments the records whose time is over."`
}

// Help says what the record of access is, and what becomes of its key.
func (auditCommand) Help() string {
	return `Every access is a leaf of a Merkle log, and the server signs what the log is (--checkpoint-every, and when it is asked for
AuditEvent/$checkpoint). Whoever has the public key can check an export without the server:

  vitrine audit key --data DIR > record.pub
  vitrine audit export --server https://nehr.example --token TOKEN --out ./log
  auditcheck --key record.pub ./log

The key that signs is in the data directory's audit-key.json. Servers that share a store are given a copy of it, like that of
token-key.json; one that has another key does not sign, and says so in its log.`
}

// auditKeyCommand prints the key.
type auditKeyCommand struct {
	place
	Site string `help:"Name of this installation, for the first key." default:"vitrine" placeholder:"NAME"`
}

// Help says whom it is for.
func (auditKeyCommand) Help() string {
	return `Prints the verifier key: it is public. Hand it to the regulator in another way than the exports it checks. A key is made if there
is none yet; one that was rotated is printed after those before it.

  vitrine audit key --data ./vitrine-data > record.pub`
}

// Run prints it.
func (c *auditKeyCommand) Run(s streams) error {
	data, err := oldData(c.Data)
	if err != nil {
		return err
	}
	keys, err := data.auditKeys(c.Site, time.Now())
	if err != nil {
		return err
	}
	return printAuditKeys(s, keys)
}

func printAuditKeys(s streams, keys auditKeys) error {
	for _, k := range keys.Keys {
		if _, err := fmt.Fprintln(s.out, k.Key); err != nil {
			return err
		}
	}
	return nil
}

// auditRotateCommand makes a new key.
type auditRotateCommand struct {
	place
	Lost bool   `help:"The key is lost: begin with a new one that it cannot vouch for."`
	Site string `help:"Name of this installation, if the file with the key is lost as a whole." default:"vitrine" placeholder:"NAME"`
}

// Help says what it means for those who check.
func (auditRotateCommand) Help() string {
	return `Servers notice by themselves. Both keys sign a note that the one follows the other, so that who has either is led to the other, and
every export has it. Once a year is enough:

  vitrine audit rotate --data ./vitrine-data

When the file is lost, what it signed stays proved, and nothing new can be signed: a server does not sign with a key that nothing leads
to. Restore audit-key.json from where it is kept (it belongs beside the backups, not in them). If it is gone for good:

  vitrine audit rotate --lost --site NAME

The log goes on, its leaves stay; only the signature begins anew. Publish the new key where the old one was published. Who checks gives
both keys in one file to auditcheck --key: every checkpoint of either is then held against the one tree.

When somebody else may have read the file, rotate, publish the new key, and say from which checkpoint on the old one is worth nothing:
a log that was made with it can be told from this one by every checkpoint that somebody else has seen (auditcheck --since, witnesses).`
}

// Run rotates and prints.
func (c *auditRotateCommand) Run(s streams) error {
	data, err := oldData(c.Data)
	if err != nil {
		return err
	}
	keys, err := data.rotateAuditKey(c.Site, c.Lost, time.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no key yet: one is made when a checkpoint is signed first. If there was one, see --lost")
	}
	if err != nil {
		return err
	}
	return printAuditKeys(s, keys)
}
