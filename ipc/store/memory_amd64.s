//go:build !crashpoints && !race

#include "textflag.h"

// func storeWords(to *atomic.Uint64, from *uint64, n int)
TEXT ·storeWords(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ n+16(FP), CX
	TESTQ CX, CX
	JLE  done
next:
	MOVQ (SI), AX
	MOVQ AX, (DI)
	ADDQ $8, SI
	ADDQ $8, DI
	DECQ CX
	JNZ  next
done:
	RET

// func storeBytes(to *atomic.Uint64, from *byte, n int)
TEXT ·storeBytes(SB), NOSPLIT, $0-24
	JMP ·storeWords(SB)

// func storePairs(base *atomic.Uint64, pairs *uint64, n int)
TEXT ·storePairs(SB), NOSPLIT, $0-24
	MOVQ base+0(FP), DI
	MOVQ pairs+8(FP), SI
	MOVQ n+16(FP), CX
	TESTQ CX, CX
	JLE  done
next:
	MOVQ (SI), AX
	MOVQ 8(SI), BX
	MOVQ BX, (DI)(AX*8)
	ADDQ $16, SI
	DECQ CX
	JNZ  next
done:
	RET
