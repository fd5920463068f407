package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help implements [kong.HelpProvider].
func (*completionCmd) Help() string {
	return examples(
		"in ~/.bashrc: source <(tickstorm completion bash)", "tickstorm completion bash",
		"in ~/.zshrc: source <(tickstorm completion zsh)", "tickstorm completion zsh",
		"for good", "tickstorm completion fish > tickstorm.fish",
	)
}

// Run runs the verb.
func (c *completionCmd) Run(a *app) error {
	var b strings.Builder
	root := a.grammar.Model.Node
	if c.Shell == "fish" {
		fish(&b, root)
	} else {
		bash(&b, root, c.Shell)
	}
	_, err := a.stdout.Write([]byte(b.String()))
	return outputError(err)
}

// verbs are the names of the verbs, sorted.
func verbs(root *kong.Node) []string {
	var names []string
	for _, n := range root.Children {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

// leaves are the verbs that do something: those of engines have an engine's name behind them.
func leaves(root *kong.Node) []*kong.Node {
	var all []*kong.Node
	for _, n := range root.Children {
		if n.Leaf() {
			all = append(all, n)
			continue
		}
		all = append(all, n.Children...)
	}
	return all
}

// pathOf is what is written of a verb, in words that are joined.
func pathOf(n *kong.Node, joined string) string {
	if n.Parent != nil && n.Parent.Parent != nil {
		return n.Parent.Name + joined + n.Name
	}
	return n.Name
}

// flagsOf are the flags that a verb takes, those of all verbs too.
func flagsOf(n *kong.Node) []*kong.Flag {
	var flags []*kong.Flag
	for _, group := range n.AllFlags(true) {
		flags = append(flags, group...)
	}
	return flags
}

// values are what a flag may be, where that is a list.
func values(f *kong.Flag) []string {
	var some []string
	switch f.Name {
	case "market":
		for _, m := range tickstorm.Markets() {
			some = append(some, string(m))
		}
	case "feed":
		some = slices.Sorted(maps.Keys(feeds))
	case "corpus":
		some = sim.Corpora()
	}
	for _, v := range f.EnumSlice() {
		if v = strings.TrimSpace(v); v != "" {
			some = append(some, v)
		}
	}
	return some
}

// takesFile reports whether a flag's value is the name of a file.
func takesFile(f *kong.Flag) bool { return f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR" }

// bash writes a script for bash, and for zsh, which has a form of bash's.
func bash(b *strings.Builder, root *kong.Node, shell string) {
	if shell == "zsh" {
		b.WriteString("#compdef tickstorm\nautoload -U +X bashcompinit && bashcompinit\n")
	}
	fmt.Fprintf(b, `_tickstorm() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case $verb:${COMP_WORDS[i]} in
		:%s) verb=${COMP_WORDS[i]} ;;
%s		esac
	done
	local words='%s'
	case $verb:$before in
`, strings.Join(verbs(root), "|:"), engines(root), strings.Join(append(verbs(root), "--help"), " "))
	for _, n := range leaves(root) {
		for _, f := range flagsOf(n) {
			names := fmt.Sprintf("%s:--%s", pathOf(n, "-"), f.Name)
			if f.Short != 0 {
				names += fmt.Sprintf("|%s:-%c", pathOf(n, "-"), f.Short)
			}
			if some := values(f); some != nil {
				fmt.Fprintf(b, "\t%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", names, strings.Join(some, " "))
			} else if takesFile(f) {
				fmt.Fprintf(b, "\t%s) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", names)
			}
		}
	}
	b.WriteString("\tesac\n\tcase $verb in\n")
	for _, n := range root.Children {
		if !n.Leaf() {
			fmt.Fprintf(b, "\t%s) words='%s' ;;\n", n.Name, strings.Join(verbs(n), " "))
		}
	}
	for _, n := range leaves(root) {
		var words []string
		for _, p := range n.Positional {
			words = append(words, enumOf(p)...)
		}
		for _, f := range flagsOf(n) {
			words = append(words, "--"+f.Name)
		}
		fmt.Fprintf(b, "\t%s) words='%s' ;;\n", pathOf(n, "-"), strings.Join(words, " "))
	}
	b.WriteString(`	esac
	COMPREPLY=($(compgen -W "$words" -- "$word"))
	case $verb in
	replay|info|verify|recover|cut|merge|convert) [[ $word == -* ]] || COMPREPLY+=($(compgen -f -- "$word")) ;;
	esac
}
complete -o filenames -F _tickstorm tickstorm
`)
}

// engines are the cases of verbs that have an engine's name behind them.
func engines(root *kong.Node) string {
	var b strings.Builder
	for _, n := range root.Children {
		for _, child := range n.Children {
			fmt.Fprintf(&b, "\t\t%s:%s) verb=%s ;;\n", n.Name, child.Name, pathOf(child, "-"))
		}
	}
	return b.String()
}

// enumOf is what a positional argument may be, where that is a list.
func enumOf(p *kong.Positional) []string {
	if p.Enum == "" {
		return nil
	}
	return strings.Split(p.Enum, ",")
}

// fish writes a script for fish.
func fish(b *strings.Builder, root *kong.Node) {
	b.WriteString("complete -c tickstorm -f\n")
	quote := func(s string) string {
		s, _, _ = strings.Cut(s, ". ")
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	for _, n := range root.Children {
		fmt.Fprintf(b, "complete -c tickstorm -n __fish_use_subcommand -a %s -d %s\n", n.Name, quote(n.Help))
		for _, child := range n.Children {
			fmt.Fprintf(b, "complete -c tickstorm -n '__fish_seen_subcommand_from %s' -a %s -d %s\n", n.Name, child.Name, quote(child.Help))
		}
	}
	for _, n := range leaves(root) {
		of := fmt.Sprintf("complete -c tickstorm -n '__fish_seen_subcommand_from %s'", pathOf(n, "; and __fish_seen_subcommand_from "))
		for _, p := range n.Positional {
			if some := enumOf(p); some != nil {
				fmt.Fprintf(b, "%s -a '%s'\n", of, strings.Join(some, " "))
			}
		}
		if slices.Contains([]string{"replay", "info", "verify", "recover", "cut", "merge", "convert"}, n.Name) {
			fmt.Fprintf(b, "%s -F\n", of)
		}
		for _, f := range flagsOf(n) {
			fmt.Fprintf(b, "%s -l %s", of, f.Name)
			if f.Short != 0 {
				fmt.Fprintf(b, " -s %c", f.Short)
			}
			switch some := values(f); {
			case some != nil:
				fmt.Fprintf(b, " -x -a '%s'", strings.Join(some, " "))
			case takesFile(f):
				b.WriteString(" -r -F")
			case !f.IsBool() && !f.IsCounter():
				b.WriteString(" -x")
			}
			fmt.Fprintf(b, " -d %s\n", quote(f.Help))
		}
	}
}
