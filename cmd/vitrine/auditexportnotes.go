package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"vitrine/consent/audit/ledger"
)

// optional writes the notes that an export need not have: earlier checkpoints, those at which
// the key changed, what the keys say of each other, and what witnesses signed.
func (x *export) optional() ([]string, error) {
	files := map[string][]byte{}
	if text, err := os.ReadFile(x.path(ledger.ManifestFile)); err == nil {
		old, err := ledger.ParseManifest(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ledger.ManifestFile, err)
		}
		for _, name := range old {
			if strings.HasPrefix(name, ledger.EarlierDirectory) {
				files[name] = nil // it stays as it is
			}
		}
	}
	earlier := func(raw []byte) error {
		c, err := ledger.Text(raw)
		if err == nil && c.Size != x.top.Size {
			files[ledger.EarlierDirectory+strconv.FormatInt(c.Size, 10)] = raw
		}
		return err
	}
	if x.before != nil {
		if err := earlier(x.before); err != nil {
			return nil, err
		}
	}
	for _, r := range x.said["rotation"] {
		if err := earlier([]byte(r)); err != nil {
			return nil, err
		}
	}
	if err := x.successors(files); err != nil {
		return nil, err
	}
	if len(x.said["cosigned"]) == 1 && len(x.said["witness"]) > 0 {
		c, err := ledger.Text([]byte(x.said["cosigned"][0]))
		if err != nil {
			return nil, err
		}
		files[ledger.CosignedDirectory+strconv.FormatInt(c.Size, 10)] = []byte(x.said["cosigned"][0])
		files[ledger.WitnessFile] = []byte(strings.Join(x.said["witness"], "\n") + "\n")
	}
	var names []string
	for name, b := range files {
		if names = append(names, name); b != nil {
			if err := x.put(name, b); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// successors adds what the keys say of each other.
func (x *export) successors(files map[string][]byte) error {
	keys, _, err := ledger.ParseKeys(x.said.keys())
	if err != nil {
		return err
	}
	for _, one := range x.said["successor"] {
		_, after, err := ledger.OpenSuccession([]byte(one), keys)
		if err != nil {
			return fmt.Errorf("successor: %w", err)
		}
		files[ledger.SuccessorDirectory+strconv.Itoa(after)] = []byte(one)
	}
	return nil
}
