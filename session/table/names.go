package table

import (
	"strings"
	"unicode"
)

// Fold writes a column name so that it can stand in an expression: runs of
// characters that are neither letters, digits nor "_" become one "_", lower case.
// "smooth loss" is smooth_loss, "D/N" is d_n.
func Fold(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	gap := false
	for _, r := range name {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// words splits a name into lower-case words at punctuation, spaces and the humps
// of camelCase: "eval/CrossEntropyLoss" is eval cross entropy loss.
func words(name string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		hump := i > 0 && unicode.IsUpper(r) &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1]))
		if hump {
			flush()
		}
		word = append(word, r)
	}
	flush()
	return out
}

// plain is the form in which names are compared with the well-known ones: words
// run together, so that "Learning Rate", learning-rate and learningRate agree.
func plain(name string) string { return strings.Join(words(name), "") }

// nameForms returns the forms of a name worth comparing, most specific first: the
// whole, without a bracketed remark ("val_bpb (post-quant)"), then without
// leading path segments ("config/optimizer.lr" also as optimizer.lr and lr) and
// without the prefixes that trackers put before hyperparameters (params_lr).
func nameForms(name string) []string {
	var forms []string
	add := func(s string) {
		s = strings.TrimSpace(s)
		if s != "" && (len(forms) == 0 || forms[len(forms)-1] != s) {
			forms = append(forms, s)
		}
	}
	add(name)
	if len(forms) == 0 {
		return []string{""}
	}
	if i := strings.IndexAny(name, "(["); i > 0 {
		name = name[:i]
		add(name)
	}
	for rest := name; ; {
		i := strings.IndexAny(rest, "/.:|")
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		add(rest)
	}
	last := forms[len(forms)-1]
	for _, prefix := range []string{"params_", "param_", "config_", "hparams_", "hparam_", "args_", "user_attrs_"} {
		if len(last) > len(prefix) && strings.EqualFold(last[:len(prefix)], prefix) {
			add(last[len(prefix):])
		}
	}
	return forms
}
