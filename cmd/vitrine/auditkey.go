package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"vitrine/consent/audit/ledger"
	"vitrine/consent/gate"
)

// auditKeyFile holds the keys that sign the record of access. Whoever may read it
// can make a log of their own that looks like this server's.
const auditKeyFile = "audit-key.json"

// auditKeys are the keys that sign, the present one last. Those before it are kept:
// whichever of them signed last signs once more, together with the present one.
type auditKeys struct {
	Keys []auditKey `json:"keys"`
	// Lost says that a key was lost, and that one of these begins without it.
	Lost bool `json:"lost,omitempty"`
}

// auditKey is one of them.
type auditKey struct {
	Secret string    `json:"secret"`
	Key    string    `json:"key"`
	Since  time.Time `json:"since"`
}

// logName is the name of the log of a site, and of the keys that sign it. It has no
// spaces and no plus.
func logName(site string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '+' {
			return '-'
		}
		return r
	}, site)
	return name + "/audit"
}

func newAuditKey(name string, now time.Time) (auditKey, error) {
	secret, key, err := note.GenerateKey(rand.Reader, name)
	return auditKey{secret, key, now.UTC().Truncate(time.Second)}, err
}

func (d *dataDir) readAuditKeys() (auditKeys, error) {
	text, err := os.ReadFile(d.file(auditKeyFile))
	if err != nil {
		return auditKeys{}, err
	}
	var keys auditKeys
	if err := json.Unmarshal(text, &keys); err != nil || len(keys.Keys) == 0 {
		return auditKeys{}, fmt.Errorf("%s is damaged", auditKeyFile)
	}
	return keys, nil
}

// auditKeys are the keys of the directory; the first is made when there is none. Of
// several processes that do so at once, all get the same.
func (d *dataDir) auditKeys(site string, now time.Time) (auditKeys, error) {
	keys, err := d.readAuditKeys()
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	first, err := newAuditKey(logName(site), now)
	if err != nil {
		return auditKeys{}, err
	}
	err = d.put(auditKeyFile, auditKeys{Keys: []auditKey{first}}, func(temp, final string) error {
		if err := os.Link(temp, final); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return auditKeys{}, err
	}
	return d.readAuditKeys()
}

// signers are the keys as the gate signs with them.
func (k *auditKeys) signers() (gate.Signers, error) {
	s := gate.Signers{Before: map[string]note.Signer{}, Lost: k.Lost}
	for i, key := range k.Keys {
		signer, err := note.NewSigner(key.Secret)
		if err != nil {
			return gate.Signers{}, fmt.Errorf("%s is damaged", auditKeyFile)
		}
		if _, err := ledger.ParseKey(key.Key); err != nil {
			return gate.Signers{}, fmt.Errorf("%s is damaged", auditKeyFile)
		}
		if i == len(k.Keys)-1 {
			s.Now, s.Key = signer, key.Key
		} else {
			s.Before[key.Key] = signer
		}
	}
	return s, nil
}

// rotateAuditKey puts a new key in place.
func (d *dataDir) rotateAuditKey(site string, lost bool, now time.Time) (auditKeys, error) {
	keys, err := d.readAuditKeys()
	if err != nil && (!lost || !errors.Is(err, fs.ErrNotExist)) {
		return auditKeys{}, err
	}
	name := logName(site)
	if len(keys.Keys) > 0 {
		name, _, _ = strings.Cut(keys.Keys[0].Key, "+") // a log keeps its name
	}
	next, err := newAuditKey(name, now)
	if err != nil {
		return auditKeys{}, err
	}
	keys = auditKeys{Keys: append(keys.Keys, next), Lost: keys.Lost || lost}
	return keys, d.put(auditKeyFile, keys, os.Rename)
}
