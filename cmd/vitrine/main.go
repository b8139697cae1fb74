// Command vitrine is the server program: it reads the configuration, wires the
// house and runs it, and has the verbs that look after a data directory. It
// owns no rule of FHIR or of consent; those are fhir's and consent's.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	parser, err := newParser(&cli{})
	if err != nil {
		panic(err) // the command line itself is misdeclared
	}
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	command.BindTo(ctx, (*context.Context)(nil))
	command.FatalIfErrorf(command.Run(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
	stop()
}
