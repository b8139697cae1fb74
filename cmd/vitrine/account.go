package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"vitrine/fhir/smart/oauth"
)

// accountCommand looks after the people who sign in here.
type accountCommand struct {
	Add      accountAddCommand      `cmd:"" help:"Make an account."`
	List     accountListCommand     `cmd:"" help:"Print the accounts."`
	Password accountPasswordCommand `cmd:"" help:"Give an account another password; its sessions end."`
	TOTP     accountTOTPCommand     `cmd:"" name:"totp" help:"Give an account another second factor; its sessions end."`
	Disable  accountDisableCommand  `cmd:"" help:"Let an account sign in no more; its sessions end."`
	Enable   accountEnableCommand   `cmd:"" help:"Let a disabled account sign in again."`
}

// Help says where accounts are kept.
func (accountCommand) Help() string {
	return `Accounts are for development and small sites; others sign in with an identity provider (serve --login-issuer). They
stand in accounts.json in the data directory, and a running server reads it anew when it changes; servers on other machines are given a copy. A password is read
from standard input or made up and printed once; the second factor is printed once as the address that an authenticator
app takes.

  vitrine account add dr.tan --user PractitionerRole/dr-tan-at-clinic-a
  vitrine account add mei --user Patient/p1 --totp=off --password-stdin < password
  vitrine account list
  vitrine account totp dr.tan
  vitrine account disable dr.tan`
}

// accountName is the argument of the verbs about one account.
type accountName struct {
	place
	Name string `arg:"" help:"Name that is signed in with; case does not count."`
}

// secondFactor is the flag of the verbs that make one.
type secondFactor struct {
	TOTP string `name:"totp" help:"Second factor: ${enum}. off is for development: a password alone opens health records." enum:"on,off" default:"on"`
}

// givenPassword is the flag of the verbs that set a password.
type givenPassword struct {
	Stdin bool `name:"password-stdin" help:"Read the password from the first line of standard input. Default: make one up and print it."`
}

// read returns the password and whether it was made up.
func (g givenPassword) read(in io.Reader) (password string, made bool, err error) {
	if !g.Stdin {
		return rand.Text(), true, nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	return strings.TrimRight(line, "\r\n"), false, nil
}

// accountAddCommand makes an account.
type accountAddCommand struct {
	accountName
	givenPassword
	secondFactor
	User string `help:"Whom it stands for: Practitioner/ID, PractitionerRole/ID, Patient/ID or RelatedPerson/ID." required:"" placeholder:"REF"`
}

// Run makes it and prints what its owner needs.
func (c *accountAddCommand) Run(s streams) error {
	accounts, err := openAccounts(c.Data)
	if err != nil {
		return err
	}
	password, made, err := c.read(s.in)
	if err != nil {
		return err
	}
	address, err := accounts.Add(c.Name, c.User, password, c.TOTP == "on")
	if err != nil {
		return err
	}
	return printSecrets(s.out, password, made, address)
}

// printSecrets prints what is shown once.
func printSecrets(out io.Writer, password string, made bool, address string) error {
	if made {
		if _, err := fmt.Fprintln(out, "password:", password); err != nil {
			return err
		}
	}
	if address != "" {
		if _, err := fmt.Fprintln(out, "second factor:", address); err != nil {
			return err
		}
	}
	return nil
}

// openAccounts opens the accounts of a data directory, which is made if it is not
// there.
func openAccounts(path string) (*oauth.Accounts, error) {
	data, err := openData(path)
	if err != nil {
		return nil, err
	}
	return oauth.OpenAccounts(data.path)
}

// accountListCommand prints the accounts.
type accountListCommand struct{ place }

// Run prints a line for each: name, user, factors, state.
func (c *accountListCommand) Run(s streams) error {
	accounts, err := openAccounts(c.Data)
	if err != nil {
		return err
	}
	list, err := accounts.All()
	if err != nil {
		return err
	}
	for _, one := range list {
		factors, state := "password", "enabled"
		if one.TOTP != "" {
			factors = "password+totp"
		}
		if one.Disabled {
			state = "disabled"
		}
		if _, err := fmt.Fprintf(s.out, "%s\t%s\t%s\t%s\n", one.Name, one.User, factors, state); err != nil {
			return err
		}
	}
	return nil
}

// accountPasswordCommand gives an account another password.
type accountPasswordCommand struct {
	accountName
	givenPassword
}

// Run sets it; one that was made up is printed.
func (c *accountPasswordCommand) Run(s streams) error {
	accounts, err := openAccounts(c.Data)
	if err != nil {
		return err
	}
	password, made, err := c.read(s.in)
	if err != nil {
		return err
	}
	if err := accounts.SetPassword(c.Name, password); err != nil {
		return err
	}
	return printSecrets(s.out, password, made, "")
}

// accountTOTPCommand gives an account another second factor.
type accountTOTPCommand struct {
	accountName
	secondFactor
}

// Run makes it, or takes it away, and prints it.
func (c *accountTOTPCommand) Run(s streams) error {
	accounts, err := openAccounts(c.Data)
	if err != nil {
		return err
	}
	address, err := accounts.RenewTOTP(c.Name, c.TOTP == "on")
	if err != nil {
		return err
	}
	return printSecrets(s.out, "", false, address)
}

// accountDisableCommand disables an account.
type accountDisableCommand struct{ accountName }

// Run disables it.
func (c *accountDisableCommand) Run() error { return c.set(true) }

// accountEnableCommand enables an account.
type accountEnableCommand struct{ accountName }

// Run enables it.
func (c *accountEnableCommand) Run() error { return c.set(false) }

func (a accountName) set(disabled bool) error {
	accounts, err := openAccounts(a.Data)
	if err != nil {
		return err
	}
	return accounts.SetDisabled(a.Name, disabled)
}
