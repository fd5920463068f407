package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// gathered puts arguments that are no flags beside each other, behind the flags: "sub T.AAPL -n 1 Q.AAPL" is
// taken as "sub -n 1 T.AAPL Q.AAPL", for which there is a grammar.
func gathered(root *kong.Node, args []string) []string {
	var front, rest []string
	node := root
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return append(append(front, "--"), append(rest, args[i+1:]...)...)
		case len(arg) > 1 && arg[0] == '-':
			front = append(front, arg)
			if takesNext(node, arg) && i+1 < len(args) {
				i++
				front = append(front, args[i])
			}
		default:
			child := childOf(node, arg)
			switch {
			case child != nil && len(rest) == 0:
				node, front = child, append(front, arg)
			case node == root: // no verb: that is what is wrong
				return args
			default:
				rest = append(rest, arg)
			}
		}
	}
	return append(front, rest...)
}

func childOf(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// takesNext reports whether an argument ends in a flag whose value is the next argument.
func takesNext(n *kong.Node, arg string) bool {
	takes := func(is func(f *kong.Flag) bool) bool {
		for _, f := range flagsOf(n) {
			if is(f) {
				return !f.IsBool() && !f.IsCounter()
			}
		}
		return false
	}
	if name, long := strings.CutPrefix(arg, "--"); long {
		return takes(func(f *kong.Flag) bool { return f.Name == name }) // not of --name=value
	}
	for i, short := range arg[1:] { // the first that takes a value has all that is behind it
		if takes(func(f *kong.Flag) bool { return f.Short == short }) {
			return 1+i+len(string(short)) == len(arg)
		}
	}
	return false
}
