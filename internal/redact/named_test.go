package redact_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// TestNamed: a name tells a secret however it is spelled, and what is asked of a relay or a database is none.
func TestNamed(t *testing.T) {
	for _, name := range []string{
		"key", "KEY", "apikey", "apiKey", "api_key", "api-key", "api.key", "X-Api-Key", "polygon_api_key", "apikeys", "access-key", "accessKeyId",
		"token", "Token", "access_token", "id-token", "token2", "auth", "Authorization", "Proxy-Authorization", "x-auth", "oauth",
		"secret", "client_secret", "secret-value", "password", "PassWord", "sslpassword", "passwd", "pwd", "pass", "passphrase",
		"credentials", "jwt", "bearer", "sig", "X-Amz-Signature", "cookie", "Set-Cookie",
	} {
		require.True(t, redact.Named(name), name)
	}
	for _, name := range []string{
		"", "snapshot", "since", "conflate", "subscribe", "sslmode", "application_name", "author", "keys_file", "key-file", "password_file", "passfile", "User-Agent", "bypass", "design",
	} {
		require.False(t, redact.Named(name), name)
	}
	for name, is := range map[string]bool{"key": true, "API-Key": true, "massive.apikey": true, "access-key": false, "token": false, "monkey": false} {
		require.Equal(t, is, redact.NamesKey(name), name)
	}
}

func TestQuery(t *testing.T) {
	require.Equal(t, []string{"s3cr3t/x", "s3cr3t%2fx", "b c", "b+c"}, redact.Query("snapshot=1&t%6fken=s3cr3t%2fx&auth=b+c"))
	require.Equal(t, []string{"s3cr3t%zz", "s3cr3t%zz"}, redact.Query("x;secret=s3cr3t%zz&%zz=y"), "of what is no query too")
	require.Empty(t, redact.Query(""))
}

func TestHeader(t *testing.T) {
	require.Empty(t, redact.Header(http.Header{"User-Agent": {"token abc"}}))
	require.ElementsMatch(t, []string{"Bearer t0ken", "t0ken"}, redact.Header(http.Header{"Authorization": {"Bearer t0ken"}}))
	require.ElementsMatch(t, []string{"s3cret"}, redact.Header(http.Header{"X-Api-Key": {"s3cret"}}))
	require.ElementsMatch(t, []string{`sid=s3cret; t="0ken"`, "s3cret", "s3cret", `"0ken"`, "0ken"}, redact.Header(http.Header{"Cookie": {`sid=s3cret; t="0ken"`}}))
	require.ElementsMatch(t, []string{"basic bWU6czNjcmV0", "bWU6czNjcmV0", "me:s3cret", "s3cret"}, redact.Header(http.Header{"Authorization": {"basic bWU6czNjcmV0"}}))
}

// TestAddress: whatever is to be an address is shown without its secrets, and unharmed if it has none.
func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"wss://host:1/a/b":                   "wss://host:1/a/b",
		"https://host/@people/b?x=a@b":       "https://host/@people/b?x=a@b",
		"/login/@me?next=%2f":                "/login/@me?next=%2f",
		"ws://me:s3cret@host/x":              "ws://[redacted]@host/x",
		"ws://s3cret@host":                   "ws://[redacted]@host",
		"//me:s3cret@host/@x":                "//[redacted]@host/@x",
		"me:s3cret@host//x":                  "[redacted]@host//x",
		"me:s3cret@host":                     "[redacted]@host",
		"ws://me:s3/cr@et@host":              "ws://[redacted]@host",
		"ws://me:s3%zzcret@host/x":           "ws://[redacted]@host/x",
		"ws://me:s3cret?s3cret@host/x":       "ws://[redacted]",
		"ws://me:s3cret#s3cret@host":         "ws://[redacted]",
		"host:1?mail=a@b&token=s3cret":       "[redacted]",
		"host?token=abc@s3cret":              "[redacted]",
		"ws://host:port?x=a@b&token=s3cret":  "ws://[redacted]",
		"login?next=a@b":                     "[redacted]",
		"ws://host?snapshot=1&token=s3cret":  "ws://host?snapshot=1&token=[redacted]",
		"ws://host?t%6fken=s3cret&x":         "ws://host?t%6fken=[redacted]&x",
		"ws://host?Api-Key=s3cret;auth=#x":   "ws://host?Api-Key=[redacted];auth=#x",
		"https://host/#access_token=s3cret&": "https://host/#access_token=[redacted]&",
		"?token=s3cret":                      "?token=[redacted]",
	} {
		got := redact.Address(text)
		require.Equal(t, want, got)
		require.False(t, strings.Contains(got, "s3"), text)
	}
}
