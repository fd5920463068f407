package main

import (
	"fmt"
	"io"
	"os"
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
			return key, nil
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

// keyOf reads the file of a key.
func (a *app) keyOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", &exitError{exitKey, "the key file cannot be read: " + err.Error()}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	key := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", &exitError{exitKey, "the key file cannot be read: " + err.Error()}
	case key == "":
		return "", &exitError{exitKey, fmt.Sprintf("the key file %s is empty", file)}
	case len(text) > maxKey || strings.ContainsAny(key, " \t\r\n"):
		return "", &exitError{exitKey, fmt.Sprintf("the key file %s has more than one word: it should have nothing but the key", file)}
	}
	if readableByOthers(f) {
		a.log.Warn("others can read the key file", "file", file, "mend", "chmod 600")
	}
	return key, nil
}
