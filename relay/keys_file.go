package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tickstorm/tickstorm"
)

// KeysError is what is wrong with a keys file. It says where and never what a token is.
type KeysError struct {
	// Path is the file's, and Line the number of the line, 0 where it is about the file as a
	// whole.
	Path string
	Line int
	// Err is what is wrong.
	Err error
}

// Error says where it is, and what is wrong with it.
func (e *KeysError) Error() string {
	where := e.Path
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	return fmt.Sprintf("relay: keys: %s: %v", where, e.Err)
}

// Unwrap returns Err.
func (e *KeysError) Unwrap() error { return e.Err }

// ErrExposed: others than the file's owner and group may read a file of secrets, or others than
// its owner may write it.
var ErrExposed = errors.New("others may read or write it")

// LoadKeys reads keys from a file, which is looked at for changes while a server runs:
//
//	{
//	  "keys": [
//	    {
//	      "name": "desk",
//	      "token": "1c4d9d0e3b7fa2586e...",
//	      "policy": {
//	        "markets": ["stocks", "options"],
//	        "channels": ["T", "Q"],
//	        "symbols": ["AAPL", "BRK*"],
//	        "wildcards": false,
//	        "max_topics": 500,
//	        "overflow": "drop-oldest",
//	        "snapshot": true,
//	        "snapshot_on_subscribe": false
//	      }
//	    }
//	  ]
//	}
//
// Each key needs a name and a token. The policy and all its fields may be left out, which is
// what their zero values are in a [Policy]; overflow is "disconnect", "drop-newest",
// "drop-oldest" or "conflate". The file is strict JSON: a field that is not of these, one that
// comes twice, a list without anything and what stands behind the end are a [*KeysError] with
// the line. On Unix so is a file that others than its owner may write, or others than its group
// read: [ErrExposed].
func LoadKeys(path string) (*Keys, error) {
	k := &Keys{path: path, file: file{path: path}}
	if _, err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// Reload reads the file again, whether it has changed or not. When it returns the change is in
// effect for the clients that there are. On an error, which is that of LoadKeys, the keys are
// those that they were. Keys of a program's own have no file, and nothing to reload.
func (k *Keys) Reload() error {
	if k.path == "" {
		return nil
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	return k.reload()
}

// poll reads the file again if it has changed.
func (k *Keys) poll() {
	if k.path == "" {
		return
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	if k.file.changed() {
		_ = k.reload() // whoever listens is told
	}
}

// reload tells what is new: of a file that is as bad as it was, nothing.
func (k *Keys) reload() error {
	before := k.Stats().Err
	changed, err := k.load()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		k.tell(err)
	case err == nil && (changed || before != nil):
		k.tell(nil)
	}
	return err
}

// load reads the file. changed is whether it has other keys than those in effect.
func (k *Keys) load() (changed bool, err error) {
	text, other, err := k.file.read()
	var set *keyset
	switch {
	case err != nil:
		err = &KeysError{Path: k.path, Err: err}
	case !other: // than what was taken last
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stats.Err = nil
		return false, nil
	default:
		set, err = parseKeys(k.path, text)
	}
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.stats.Err == nil || k.stats.Err.Error() != err.Error() {
			k.stats.Failures++
		}
		k.stats.Err = err
		return false, err
	}
	k.file.taken(text)
	k.take(set)
	return true, nil
}

// parseKeys reads the text of a file.
func parseKeys(path string, text []byte) (*keyset, error) {
	r := &keysReader{path: path, src: text, dec: json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	m := newKeymaker()
	if err := r.all(m); err != nil {
		return nil, err
	}
	return &m.set, nil
}

// keysReader reads the text of a file token by token, so that whatever is wrong has a line, and
// nothing is taken that the format does not have.
type keysReader struct {
	path string
	src  []byte
	dec  *json.Decoder
}

func (r *keysReader) all(m *keymaker) error {
	for at := 0; at < len(r.src); {
		c, n := utf8.DecodeRune(r.src[at:])
		if c == utf8.RuneError && n == 1 {
			return r.at(at, "it is no UTF-8")
		}
		at += n
	}
	err := r.object("the file", func(field string) error {
		if field != "keys" {
			return r.unknown(field, "keys")
		}
		return r.list(field, func() error { return r.key(m) })
	}, "keys")
	if err != nil {
		return err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return r.broken("there is something behind the end")
	}
	return nil
}

func (r *keysReader) key(m *keymaker) error {
	var k Key
	err := r.object("a key", func(field string) (err error) {
		switch field {
		case "name":
			k.Name, err = r.text(field, func(string) error { return nil }) // below, when the token is known
		case "token":
			k.Token, err = r.text(field, checkToken)
		case "policy":
			err = r.policy(&k.Policy)
		default:
			err = r.unknown(field, "name, token, policy")
		}
		return err
	}, "name", "token")
	if err == nil {
		if err = m.add(k); err != nil {
			err = r.fail("%w", err)
		}
	}
	return err
}

func (r *keysReader) policy(p *Policy) error {
	err := r.object("policy", func(field string) (err error) {
		var list []string
		switch field {
		case "markets":
			if list, err = r.texts(field); err == nil {
				p.Markets = make([]tickstorm.Market, len(list))
				for i, m := range list {
					p.Markets[i] = tickstorm.Market(m)
				}
				err = checkMarkets(p.Markets)
			}
		case "channels":
			if p.Channels, err = r.texts(field); err == nil {
				err = checkChannels(p.Channels)
			}
		case "symbols":
			if p.Symbols, err = r.texts(field); err == nil {
				err = checkSymbols(p.Symbols)
			}
		case "wildcards":
			p.Wildcards, err = r.boolean(field)
		case "snapshot":
			p.Snapshot, err = r.boolean(field)
		case "snapshot_on_subscribe":
			p.SnapshotOnSubscribe, err = r.boolean(field)
		case "max_topics":
			p.MaxTopics, err = r.count(field)
		case "overflow":
			_, err = r.text(field, func(name string) error {
				var ok bool
				if p.Overflow, ok = overflows[name]; !ok {
					return fmt.Errorf("there is no %s: there are disconnect, drop-newest, drop-oldest, conflate", quote(name))
				}
				return nil
			})
		default:
			err = r.unknown(field, "markets, channels, symbols, wildcards, max_topics, overflow, snapshot, snapshot_on_subscribe")
		}
		return r.of(field, err)
	})
	if err != nil {
		return err
	}
	return r.of("wildcards", p.checkWildcards())
}

// object reads an object whose fields come once each. These are needed.
func (r *keysReader) object(what string, field func(name string) error, needed ...string) error {
	if err := r.begin('{', what, "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.dec.More() {
		t, err := r.dec.Token()
		name, ok := t.(string)
		switch {
		case err != nil || !ok:
			return r.broken("this is no JSON")
		case seen[name]:
			return r.fail("the field %s comes twice", quote(name))
		}
		seen[name] = true
		if err := field(name); err != nil {
			return err
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	for _, name := range needed {
		if !seen[name] {
			return r.fail("%s has no field %q", what, name)
		}
	}
	return nil
}

func (r *keysReader) list(what string, element func() error) error {
	if err := r.begin('[', what, "a list"); err != nil {
		return err
	}
	for r.dec.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return r.end()
}

func (r *keysReader) texts(what string) ([]string, error) {
	list := []string{}
	return list, r.list(what, func() error {
		s, err := r.text(what, func(string) error { return nil })
		if err == nil && slices.Contains(list, s) {
			err = r.fail("%s: %s comes twice", what, quote(s))
		}
		list = append(list, s)
		return err
	})
}

func (r *keysReader) begin(d json.Delim, what, kind string) error {
	t, err := r.value()
	if err != nil {
		return err
	}
	if t != d {
		return r.fail("%s must be %s", what, kind)
	}
	return nil
}

func (r *keysReader) end() error {
	if _, err := r.dec.Token(); err != nil {
		return r.broken("this is no JSON")
	}
	return nil
}

func (r *keysReader) value() (json.Token, error) {
	t, err := r.dec.Token()
	if err != nil {
		return nil, r.broken("this is no JSON")
	}
	return t, nil
}

func (r *keysReader) text(what string, check func(string) error) (string, error) {
	t, err := r.value()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", r.fail("%s must be a text", what)
	}
	return s, r.of(what, check(s))
}

func (r *keysReader) boolean(what string) (bool, error) {
	t, err := r.value()
	if err != nil {
		return false, err
	}
	b, ok := t.(bool)
	if !ok {
		return false, r.fail("%s must be true or false", what)
	}
	return b, nil
}

func (r *keysReader) count(what string) (int, error) {
	t, err := r.value()
	if err != nil {
		return 0, err
	}
	text, _ := t.(json.Number)
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return 0, r.fail("%s must be a whole number, 1 or more", what)
	}
	return n, nil
}

// of puts an error down to a field, unless it has a line already.
func (r *keysReader) of(field string, err error) error {
	var placed *KeysError
	if err == nil || errors.As(err, &placed) {
		return err
	}
	return r.fail("%s: %w", field, err)
}

func (r *keysReader) unknown(field, known string) error {
	return r.fail("there is no field %s here: there are %s", quote(field), known)
}

// fail is what is wrong with what was read last.
func (r *keysReader) fail(format string, args ...any) error {
	return r.at(int(r.dec.InputOffset()), format, args...)
}

// broken is what is wrong with what comes next. Errors of package json are not told: they have
// characters of the text in them.
func (r *keysReader) broken(what string) error {
	at := int(r.dec.InputOffset())
	rest := bytes.TrimLeft(r.src[at:], " \t\r\n,:")
	if len(rest) == 0 {
		return r.at(len(strings.TrimRight(string(r.src), "\n")), "it ends too early")
	}
	return r.at(len(r.src)-len(rest), "%s", what)
}

func (r *keysReader) at(offset int, format string, args ...any) error {
	line := 1 + bytes.Count(r.src[:min(offset, len(r.src))], []byte("\n"))
	return &KeysError{Path: r.path, Line: line, Err: fmt.Errorf(format, args...)}
}
