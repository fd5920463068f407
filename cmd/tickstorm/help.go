package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// helpText is what the help says of a flag or an argument, with its default, which kong shows only where
// there is no placeholder.
func helpText(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	shown := v.Flag != nil && v.Flag.PlaceHolder == "" // as --format="text"
	if !v.HasDefault || v.Default == "" || shown {
		return text
	}
	return fmt.Sprintf("%s (default %s).", strings.TrimSuffix(text, "."), v.Default)
}
