// Command generate makes the compact tables that package r4 embeds from the
// official definitions: the unpacked npm package hl7.fhir.r4.examples 4.0.1. It
// fetches nothing, and the same package always gives the same bytes. The form it
// writes is described where r4 reads it.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	dir := flag.String("package", "", "directory of the unpacked package hl7.fhir.r4.examples 4.0.1")
	out := flag.String("out", "tables.bin", "file to write the tables to")
	terms := flag.String("terms", "terms.bin", "file to write code systems and value sets to")
	flag.Parse()
	if err := run(*dir, *out, *terms); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir, out, terms string) error {
	if dir == "" {
		return fmt.Errorf("-package is needed: the directory of the unpacked package")
	}
	m, t, err := build(dir)
	if err != nil {
		return err
	}
	packed, err := t.encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, m.encode(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(terms, packed, 0o644)
}

// build reads the definitions into the models that encode writes.
func build(dir string) (*model, *termsModel, error) {
	src, err := readPackage(dir)
	if err != nil {
		return nil, nil, err
	}
	m := &model{}
	shapes := newShapes(src, m)
	if err := shapes.build(); err != nil {
		return nil, nil, err
	}
	if err := m.addParams(src.params); err != nil {
		return nil, nil, err
	}
	m.addCompartments(src.compartments)
	t := &termsModel{}
	t.addTerms(src)
	return m, t, nil
}
