package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHelpHasDefaults: a verb's help says what each flag is that was left out.
func TestHelpHasDefaults(t *testing.T) {
	for _, verb := range leaves(grammarOf(t).Model.Node) {
		t.Run(pathOf(verb, "-"), func(t *testing.T) {
			s := newScene(t)
			require.Equal(t, exitOK, s.run(t, append(strings.Fields(pathOf(verb, " ")), "--help")...))
			_, flags, _ := strings.Cut(s.out.String(), "\nFlags:\n")
			help := strings.Join(strings.Fields(flags), " ")
			for _, f := range flagsOf(verb) {
				if f.HasDefault && f.Default != "" && f.Default != "0" {
					_, of, ok := strings.Cut(help, "--"+f.Name)
					require.True(t, ok, f.Name)
					require.True(t, strings.HasPrefix(of, `="`+f.Default+`"`) || strings.Contains(of, "(default "+f.Default+")"), "--%s has the default %s", f.Name, f.Default)
				}
			}
		})
	}
}
