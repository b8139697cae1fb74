package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// webhook sends notices to a messaging service, in the form and with the signature
// of Standard Webhooks. Whoever receives them tells repetitions by webhook-id.
type webhook struct {
	url     string
	secrets [][]byte
	client  *http.Client
	clock   func() time.Time
}

const (
	// webhookTimeout is how long a receiver may take.
	webhookTimeout = 10 * time.Second
	// webhookAnswer is how much of its answer is read, to use the connection again;
	// what stands in it is of no interest.
	webhookAnswer = 4 << 10
	// A secret has so many bytes.
	secretLeast, secretMost = 24, 64
)

// errNotTaken says that the receiver does not take this notice.
var errNotTaken = errors.New("the receiver did not take the notice")

func newWebhook(address string, secrets [][]byte) *webhook {
	return &webhook{
		url: address, secrets: secrets, clock: time.Now,
		client: &http.Client{
			Timeout:       webhookTimeout,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 8, TLSHandshakeTimeout: webhookTimeout, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// send sends one notice; nil says that the receiver has it.
func (h *webhook) send(ctx context.Context, n gate.Notice) error {
	body, err := json.Marshal(struct {
		Type      string            `json:"type"`
		Timestamp string            `json:"timestamp"`
		Data      map[string]string `json:"data"`
	}{n.Kind, fhir.FormatInstant(n.At), map[string]string{
		"patient": n.Patient, "organization": n.Organization, "communication": n.Communication,
		"sequence": strconv.FormatUint(n.Sequence, 10),
	}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(h.clock().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", n.ID)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", signed(h.secrets, n.ID, at, body))
	resp, err := h.client.Do(req)
	if err != nil {
		return gate.ErrReceiver // what went wrong may name what is not for a log
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, webhookAnswer)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code < 400, code >= 500:
		return gate.ErrReceiver
	default:
		return errNotTaken
	}
}

// signed is the signature by each of the secrets, of what Standard Webhooks signs.
func signed(secrets [][]byte, id, at string, body []byte) string {
	all := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		all[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(all, " ")
}

// readSecrets reads a file of secrets, a line each: base64, with whsec_ before it or
// without. Several are for the time in which one takes the place of another.
func readSecrets(path string) (secrets [][]byte, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, errors.New("--notify-secret-file cannot be read")
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "whsec_")
		if line == "" {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(secret) < secretLeast || len(secret) > secretMost {
			return nil, fmt.Errorf("--notify-secret-file: want base64 of %d to %d bytes on every line", secretLeast, secretMost)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, errors.New("--notify-secret-file has no secret")
	}
	return secrets, nil
}

// checkNotify looks at where notices are sent.
func checkNotify(address, secretFile string) error {
	if (address == "") != (secretFile == "") {
		return errors.New("--notify-url and --notify-secret-file belong together")
	}
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return errors.New("--notify-url: want https://..., or http:// on loopback")
	}
	_, err = readSecrets(secretFile)
	return err
}
