package cuda

import "fmt"

// kernelNames lists every kernel that a program can need.
func kernelNames() []string {
	names := []string{
		"embed", "embed_any", "token_index", "embed_grad_f", "embed_grad_h", "embed_grad_finish", "embed_grad_any_f", "embed_grad_any_h", "embed_grad_finish_any",
		"rmsnorm_grad_gain", "swiglu", "swiglu_any", "swiglu_grad", "swiglu_grad_any",
		"qk_norm_rope_grad_gain", "attention_sm90_64", "attention_max_logit", "attention_grad_delta",
		"route_scan", "route_slots", "route_grad_f", "route_grad_h", "dispatch", "dispatch_any", "combine", "combine_any", "combine_grad_any",
		"gemm_swiglu_sm90", "gemm_swiglu_grad_sm90", "gemm_sm90_nt_128x256_long_h", "gemm_sm90_nn_128x256_long_h", "gemm_reduce_f", "gemm_reduce_h", "gemm_tt_any_f", "gemm_tt_any_h", "cross_entropy_any",
		"blend", "copy", "copy_each", "cast", "widen", "sum", "stats_f", "stats_h", "stats_finish", "stats_each", "stats_each_finish", "zero", "log_row", "grad_norm", "grad_norm_finish", "adamw",
	}
	add := func(format string, variants ...any) {
		for _, v := range variants {
			names = append(names, fmt.Sprintf(format, v))
		}
	}
	widths := []any{"any"}
	for _, w := range normWidths {
		widths = append(widths, w)
	}
	add("rmsnorm_f_%v", widths...)
	add("rmsnorm_h_%v", widths...)
	add("rmsnorm_grad_f_%v", widths...)
	add("rmsnorm_grad_h_%v", widths...)
	add("qk_norm_rope_%v", 16, 32, 64, 128, "any")
	add("qk_norm_rope_grad_%v", 16, 32, 64, 128, "any")
	add("attention_%v", 32, 64, 96, 128)
	add("attention_grad_%v", 32, 64, 96, 128)
	add("attention_grad_sm90_%v", 32, 64)
	for _, w := range routeWidths {
		add("route_%v", w)
	}
	for _, w := range combineGradWidths {
		add("combine_grad_%v", w.width)
	}
	for _, w := range crossEntropyWidths {
		add("cross_entropy_%v", w.width)
	}
	for _, t := range hopperTiles {
		for _, trans := range []string{"nt", "nn", "tn"} {
			add("gemm_sm90_"+trans+"_"+t.name+"_%v", "f", "h")
		}
	}
	for _, t := range hopperGroupTiles {
		add("group_gemm_sm90_nt_"+t.name+"_%v", "f", "h")
		add("group_gemm_sm90_nn_"+t.name+"_%v", "f", "h")
		add("group_gemm_grad_sm90_%v", t.name)
	}
	for _, t := range append([]tile{anyTile}, tiles...) {
		for _, trans := range []string{"nt", "nn", "tn"} {
			add("gemm_"+trans+"_"+t.name+"_%v", "f", "h")
		}
		add("group_gemm_nt_"+t.name+"_%v", "f", "h")
		add("group_gemm_nn_"+t.name+"_%v", "f", "h")
		add("group_gemm_grad_%v", t.name)
	}
	return names
}
