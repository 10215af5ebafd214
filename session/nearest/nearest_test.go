package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	columns := []string{"h", "lr", "bs", "loss", "smooth loss", "exp_name", "D", "N", "D/N", "learning_rate"}
	tests := []struct{ word, want string }{
		{"loss", "loss"},
		{"LOSS", "loss"},
		{"los", "loss"},
		{"lsos", "loss"},
		{"smooth_loss", "smooth loss"},
		{"smoth loss", "smooth loss"},
		{"learning rate", "learning_rate"},
		{"learn", "learning_rate"},
		{"lr2", "lr"},
		{"D-N", "D/N"},
		{"dn", "D/N"},
		{"zebra", ""},
		{"", ""},
		{"--", ""},
		{"x", ""},
		{strings.Repeat("loss", 40), ""},
	}
	for _, tt := range tests {
		if got := Word(tt.word, columns); got != tt.want {
			t.Errorf("Word(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestWordPrefersFewerSlips(t *testing.T) {
	if got := Word("curve", []string{"curse", "curves"}); got != "curse" {
		t.Errorf("first of equals: got %q", got)
	}
	if got := Word("horizn", []string{"horizontal", "horizon"}); got != "horizon" {
		t.Errorf("got %q, want horizon", got)
	}
}
