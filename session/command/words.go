package command

import (
	"errors"
	"fmt"
	"strings"
)

// Split splits a command line into words as a POSIX shell does, without what a shell
// expands: blanks separate, quotes and backslashes protect. A program that needs a
// shell names one: sh -c '…'.
func Split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	open := false // a word is begun, perhaps an empty one
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\n', '\r':
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case '\'', '"':
			open = true
			for i++; ; i++ {
				if i >= len(line) {
					return nil, fmt.Errorf("a quote %c is never closed", c)
				}
				if line[i] == c {
					break
				}
				if c == '"' && line[i] == '\\' && i+1 < len(line) && strings.IndexByte(`"\$`+"`", line[i+1]) >= 0 {
					i++
				}
				word.WriteByte(line[i])
			}
		case '\\':
			if i++; i >= len(line) {
				return nil, errors.New("it ends in a backslash")
			}
			if open = true; line[i] != '\n' {
				word.WriteByte(line[i])
			}
		default:
			open = true
			word.WriteByte(c)
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

// Fields returns the names of the placeholders {name} in words, each once. A brace that
// begins no name, as in {"a": 1} or ${X}, is text.
func Fields(words []string) []string {
	var names []string
	seen := map[string]bool{}
	for _, w := range words {
		fill(w, func(name string) (string, bool) {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
			return "", false
		})
	}
	return names
}

// Fill replaces placeholders by values; those without one stay.
func Fill(words []string, values map[string]string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fill(w, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	}
	return out
}

func fill(w string, value func(name string) (string, bool)) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(w, '{')
		if i < 0 {
			b.WriteString(w)
			return b.String()
		}
		end := i + 1
		for end < len(w) && (w[end] == '_' || 'a' <= w[end] && w[end] <= 'z' || end > i+1 && '0' <= w[end] && w[end] <= '9') {
			end++
		}
		if end == len(w) || w[end] != '}' || end == i+1 || i > 0 && w[i-1] == '$' {
			b.WriteString(w[:i+1])
			w = w[i+1:]
			continue
		}
		b.WriteString(w[:i])
		if v, ok := value(w[i+1 : end]); ok {
			b.WriteString(v)
		} else {
			b.WriteString(w[i : end+1])
		}
		w = w[end+1:]
	}
}
