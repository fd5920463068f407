package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// keyVariables are where a key may be in the environment, the first that is set.
var keyVariables = []string{"MASSIVE_API_KEY", "POLYGON_API_KEY"}

// maxKey is longer than any key, and shorter than a file that is none.
const maxKey = 4 << 10

// key finds the key: in the file that was named, the environment, or the context's file. It is
// [tickstorm.ErrNoKey], with how to get one, if there is none.
func (a *app) key(file, contextFile string) (string, error) {
	if file != "" {
		return a.keyOf(file)
	}
	for _, name := range keyVariables {
		if key := strings.TrimSpace(a.env(name)); key != "" {
			return key, checkKey(key, name)
		}
	}
	if contextFile != "" {
		return a.keyOf(contextFile)
	}
	return "", errNoKey
}

var errNoKey = &noKeyError{}

// noKeyError is a [tickstorm.ErrNoKey] that says what to do.
type noKeyError struct{}

func (*noKeyError) Error() string {
	return "there is no API key: put it in MASSIVE_API_KEY or POLYGON_API_KEY, or in a file for --key-file;" +
		" or try it without, on made-up data, with --demo"
}

func (*noKeyError) Is(target error) bool { return target == tickstorm.ErrNoKey }

// keyLike is what looks more like a key than like the name of a file.
var keyLike = regexp.MustCompile(`^[0-9A-Za-z_-]{16,}$`)

// checkKey reports what cannot be a key: as it is it would be refused, without a word of why.
func checkKey(key, where string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &exitError{exitKey, where + " has characters that no key has: it should be plain text (ASCII or UTF-8), the key alone"}
	}
	return nil
}

// keyOf reads the file of a key.
func (a *app) keyOf(file string) (string, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) && keyLike.MatchString(file) { // which is not repeated
		return "", &exitError{exitKey, "the key file cannot be read: there is no file of this name; --key-file takes the name of a file that has the key, not the key"}
	}
	if err != nil {
		return "", &exitError{exitKey, "the key file cannot be read: " + err.Error()}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	key := strings.TrimSpace(strings.TrimPrefix(string(text), "\uFEFF")) // editors of Windows begin with it
	switch {
	case err != nil:
		return "", &exitError{exitKey, "the key file cannot be read: " + err.Error()}
	case key == "":
		return "", &exitError{exitKey, fmt.Sprintf("the key file %s is empty", file)}
	case len(text) > maxKey || strings.ContainsAny(key, " \t\r\n"):
		return "", &exitError{exitKey, fmt.Sprintf("the key file %s has more than one word: it should have nothing but the key", file)}
	}
	if err := checkKey(key, "the key file "+file); err != nil {
		return "", err
	}
	if readableByOthers(f) {
		a.log.Warn("others can read the key file", "file", file, "mend", "chmod 600")
	}
	return key, nil
}
