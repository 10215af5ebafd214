package simd

import "golang.org/x/sys/cpu"

// native lists the assembly sets that the processor and the system support.
func native() []*Set {
	var list []*Set
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512BW && x.HasAVX2 && x.HasFMA {
		list = append(list, avx512())
	}
	if x.HasAVX2 && x.HasFMA {
		list = append(list, avx2())
	}
	return list
}

func avx512() *Set {
	return &Set{
		Name:            "avx512",
		Axpy:            axpyAVX512,
		Scale:           scaleAVX512,
		Axpby:           axpbyAVX512,
		Sum:             sumAVX512,
		SumSq:           sumSqAVX512,
		SumAbs:          sumAbsAVX512,
		Dot:             dotAVX512,
		Max:             maxAVX512,
		MaxAbs:          maxAbsAVX512,
		ExpSum:          expSumAVX512,
		SoftmaxGrad:     softmaxGradAVX512,
		ColMax:          colMaxAVX512,
		ColExp:          colExpAVX512,
		ColDot:          colDotAVX512,
		ColScale:        colScaleAVX512,
		ColSoftmaxGrad:  colSoftmaxGradAVX512,
		NormRows:        normRowsAVX512,
		NormGradRows:    normGradRowsAVX512,
		NormGradAddRows: normGradAddRowsAVX512,
		RotateRows:      rotateRowsAVX512,
		Swiglu:          swigluAVX512,
		SwigluGrad:      swigluGradAVX512,
		AdamW:           adamwAVX512,
		Spin:            peakAVX512,
		SpinFlops:       2 * 12 * 16,
		lanes:           16,
		tile:            12,
		gatherRows:      gather12xAVX2,
		gatherPanels:    gather32xAVX512,
		transpose:       transpose8AVX2,
		micro: [2][]micro{
			{{12, gemm12x1AVX512}, {8, gemm8x1AVX512}, {4, gemm4x1AVX512}, {2, gemm2x1AVX512}, {1, gemm1x1AVX512}},
			{{12, gemm12x2AVX512}, {8, gemm8x2AVX512}, {4, gemm4x2AVX512}, {2, gemm2x2AVX512}, {1, gemm1x2AVX512}},
		},
	}
}

func avx2() *Set {
	return &Set{
		Name:            "avx2",
		Axpy:            axpyAVX2,
		Scale:           scaleAVX2,
		Axpby:           axpbyAVX2,
		Sum:             sumAVX2,
		SumSq:           sumSqAVX2,
		SumAbs:          sumAbsAVX2,
		Dot:             dotAVX2,
		Max:             maxAVX2,
		MaxAbs:          maxAbsAVX2,
		ExpSum:          expSumAVX2,
		SoftmaxGrad:     softmaxGradAVX2,
		ColMax:          colMaxAVX2,
		ColExp:          colExpAVX2,
		ColDot:          colDotAVX2,
		ColScale:        colScaleAVX2,
		ColSoftmaxGrad:  colSoftmaxGradAVX2,
		NormRows:        normRowsAVX2,
		NormGradRows:    normGradRowsAVX2,
		NormGradAddRows: normGradAddRowsAVX2,
		RotateRows:      rotateRowsAVX2,
		Swiglu:          swigluAVX2,
		SwigluGrad:      swigluGradAVX2,
		AdamW:           adamwAVX2,
		Spin:            peakAVX2,
		SpinFlops:       2 * 12 * 8,
		lanes:           8,
		tile:            6,
		gatherRows:      gather12xAVX2,
		gatherPanels:    gather16xAVX2,
		transpose:       transpose8AVX2,
		micro: [2][]micro{
			{{6, gemm6x1AVX2}, {4, gemm4x1AVX2}, {2, gemm2x1AVX2}, {1, gemm1x1AVX2}},
			{{6, gemm6x2AVX2}, {4, gemm4x2AVX2}, {2, gemm2x2AVX2}, {1, gemm1x2AVX2}},
		},
	}
}
