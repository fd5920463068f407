package redact

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// This file is what is a secret by its name, in addresses, headers and settings, and how addresses
// are shown.

// Named reports whether what has this name is a secret: the parameter of a URL, a header, a flag.
// Names are told by their letters and digits alone: "api-key" is "apiKey" is "Api_Key".
func Named(name string) bool {
	name = plain(name)
	if strings.HasSuffix(name, "file") { // where it is
		return false
	}
	has := func(part string) bool { return strings.Contains(name, part) }
	ends := func(end string) bool { return strings.HasSuffix(name, end) }
	return slices.ContainsFunc([]string{"token", "secret", "passw", "passphrase", "credential", "apikey", "accesskey"}, has) ||
		slices.ContainsFunc([]string{"key", "auth", "authorization", "pwd", "signature", "cookie"}, ends) ||
		slices.Contains([]string{"pass", "bearer", "jwt", "sig"}, name)
}

// NamesKey reports whether a name is one of the API key's, in any spelling.
func NamesKey(name string) bool {
	name = plain(name)
	return name == "key" || strings.HasSuffix(name, "apikey")
}

// plain is a name in lower case without anything but letters and digits.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, name)
}

// Query returns the secrets of a URL's query, as they are meant and as they are spelled.
func Query(query string) (secrets []string) {
	for pair := range strings.FieldsFuncSeq(query, separates) {
		if name, spelled, _ := strings.Cut(pair, "="); Named(unescaped(name)) {
			secrets = append(secrets, unescaped(spelled), spelled)
		}
	}
	return secrets
}

// separates reports whether a rune may stand between the parameters of a URL, or before them.
func separates(r rune) bool { return strings.ContainsRune("?#&;", r) }

// unescaped is what a part of a query means, or that part if it means nothing.
func unescaped(spelled string) string {
	if meant, err := url.QueryUnescape(spelled); err == nil {
		return meant
	}
	return spelled
}

// Header returns the secrets of headers: those that their names tell, of "Bearer x" also the x, of
// "Basic x" whom it stands for, and of cookies the value of each.
func Header(h http.Header) (secrets []string) {
	for name, values := range h {
		if !Named(name) {
			continue
		}
		for _, value := range values {
			secrets = append(secrets, value)
			if strings.HasSuffix(plain(name), "cookie") {
				secrets = append(secrets, cookies(value)...)
				continue
			}
			scheme, rest, ok := strings.Cut(value, " ")
			if !ok {
				continue
			}
			rest = strings.TrimSpace(rest)
			secrets = append(secrets, rest)
			if strings.EqualFold(scheme, "Basic") {
				whom, _ := base64.StdEncoding.DecodeString(rest)
				_, password, _ := strings.Cut(string(whom), ":")
				secrets = append(secrets, string(whom), password)
			}
		}
	}
	return secrets
}

// cookies returns the values of cookies, which attributes may follow.
func cookies(text string) (values []string) {
	for pair := range strings.SplitSeq(text, ";") {
		if _, value, ok := strings.Cut(pair, "="); ok {
			value = strings.TrimSpace(value)
			values = append(values, value, strings.Trim(value, `"`))
		}
	}
	return values
}

// Address returns the text of a URL, or of what was to be one, as it may be shown: without user and
// password, and without what is a secret by its name in its query and fragment.
func Address(text string) string {
	base, rest := text, ""
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		base, rest = text[:end], text[end:]
	}
	u, err := url.Parse(base)
	if err == nil && u.User == nil && (u.Host != "" || strings.HasPrefix(base, "/")) {
		return base + parameters(rest)
	}
	scheme, where, ok := strings.Cut(base, "//")
	if scheme += "//"; !ok || strings.ContainsAny(scheme, "@") {
		scheme, where = "", base
	}
	whom := where
	if err == nil && u.Host != "" { // a sign behind the host is no matter
		whom, _, _ = strings.Cut(where, "/")
	}
	if at := strings.LastIndexByte(whom, '@'); at >= 0 {
		return scheme + Mask + where[at:] + parameters(rest)
	}
	if strings.Contains(rest, "@") { // the question mark may be one of a password's, or begin a query
		return scheme + Mask
	}
	return base + parameters(rest)
}

// parameters returns a query or a fragment, with the sign before it, without its secrets.
func parameters(text string) string {
	var b strings.Builder
	for more := true; more; {
		var pair, sign string
		end := strings.IndexFunc(text, separates)
		if more = end >= 0; more {
			pair, sign, text = text[:end], text[end:end+1], text[end+1:]
		} else {
			pair = text
		}
		if name, spelled, _ := strings.Cut(pair, "="); spelled != "" && Named(unescaped(name)) {
			pair = name + "=" + Mask
		}
		b.WriteString(pair)
		b.WriteString(sign)
	}
	return b.String()
}
