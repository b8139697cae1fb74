package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// healthcheckCommand asks the server on this machine whether it is ready. It
// takes the server's own settings, so that in a container the same environment
// serves both.
type healthcheckCommand struct {
	settings
}

// Help says what it is for.
func (healthcheckCommand) Help() string {
	return `For containers and supervisors: asks /readyz on the address that the settings name, and exits 0 only on 200.`
}

// Run asks.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, scheme, err := c.client()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", resp.StatusCode)
	}
	return nil
}

// client trusts exactly the certificate that the server presents.
func (c *healthcheckCommand) client() (client *http.Client, scheme string, err error) {
	if c.TLSCert == "" {
		return &http.Client{}, "http", nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, "", err
	}
	chain, err := os.ReadFile(c.TLSCert)
	if err != nil {
		return nil, "", err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(chain) || pair.Leaf == nil {
		return nil, "", errors.New("no certificate in the file")
	}
	name := pair.Leaf.Subject.CommonName
	if len(pair.Leaf.DNSNames) > 0 {
		name = pair.Leaf.DNSNames[0]
	}
	config := &tls.Config{RootCAs: trusted, ServerName: name, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, "https", nil
}
