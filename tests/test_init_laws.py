"""What the functions of ``initium.init`` draw: distributions, dtypes, layouts. Seeds are fixed, so a pass is a pass for good.

For a fresh seed each Kolmogorov-Smirnov test rejects a correct sampler with probability 1e-5 (``ALPHA``) and each band of five
standard errors with 6e-7; there are fewer than 100 of them, so one new seed in a thousand would fail somewhere.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from initium import init

ALPHA = 1e-5
SIGMAS = 5.0


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(20240229)


def assert_law(tensor: torch.Tensor, law: object) -> None:
    p = stats.kstest(tensor.detach().double().flatten().numpy(), law.cdf).pvalue
    assert p > ALPHA, f"p = {p:.2g}"


def assert_std(tensor: torch.Tensor, std: float, kurtosis: float = 3.0) -> None:
    """The measured std lies within five standard errors of the asked one; kurtosis is 3 for a normal, 1.8 for a uniform."""
    error = std * math.sqrt((kurtosis - 1) / (4 * tensor.numel()))
    assert abs(float(tensor.double().pow(2).mean().sqrt()) - std) < SIGMAS * error


# Elementwise laws


@pytest.mark.parametrize("shape", [(20_000,), (100, 200), (5, 6, 7, 80)])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-2.5, 0.02), (3.0, 4.0)])
def test_normal(shape, mean, std):
    tensor = init.normal_(torch.empty(shape), mean, std)
    assert_law(tensor, stats.norm(mean, std))
    assert_std(tensor.double() - mean, std)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (-0.1, 0.1), (5.0, 7.0)])
def test_uniform(a, b):
    tensor = init.uniform_(torch.empty(200, 300), a, b)
    assert_law(tensor, stats.uniform(a, b - a))
    assert float(tensor.min()) >= torch.tensor(a).item()
    assert float(tensor.max()) < torch.tensor(b).item()


def test_uniform_never_gives_its_upper_bound_even_between_neighbours():
    low = torch.tensor(1.0)
    high = low.nextafter(torch.tensor(2.0))
    assert init.uniform_(torch.empty(1000), float(low), float(high)).unique().tolist() == [1.0]
    assert init.uniform_(torch.empty(5), 0.25, 0.25).tolist() == [0.25] * 5


TRUNCATED = [  # mean, std, a, b: wide, one-sided, narrow, far, very far, in a point's neighbourhood, nearly everything
    (0.0, 1.0, -2.0, 2.0),
    (0.5, 0.3, 0.4, 0.9),
    (0.0, 1.0, 2.0, 3.0),
    (0.0, 1.0, 5.0, 6.0),
    (0.0, 1.0, 8.0, 9.0),
    (0.0, 1.0, -9.0, -8.0),
    (0.0, 1.0, 1.0, 1.0001),
    (0.0, 0.02, -2.0, 2.0),
    (0.0, 1.0, 0.0, math.inf),
    (1.0, 2.0, -math.inf, math.inf),
]


@pytest.mark.parametrize(("mean", "std", "a", "b"), TRUNCATED)
def test_trunc_normal(mean, std, a, b):
    tensor = init.trunc_normal_(torch.empty(30_000, dtype=torch.float64), mean, std, a, b)
    assert_law(tensor, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std))
    assert float(tensor.min()) >= a
    assert float(tensor.max()) <= b


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_trunc_normal_does_not_pile_up_at_its_bounds(dtype):
    tensor = init.trunc_normal_(torch.empty(100_000, dtype=dtype), std=0.1, a=-2.0, b=2.0)
    assert float(tensor.abs().max()) < 0.65
    assert_std(tensor.double(), 0.1)


def test_trunc_normal_std_is_not_corrected_and_the_initializers_is():
    from initium.initializers import TruncNormal

    assert_std(init.trunc_normal_(torch.empty(200_000)), 0.8796256610342398)
    assert_std(TruncNormal(std=1.0, bounds=2)(200_000), 1.0)


def test_trunc_normal_limits():
    assert init.trunc_normal_(torch.empty(3), mean=0.5, std=0.0).tolist() == [0.5] * 3
    assert init.trunc_normal_(torch.empty(3), mean=7.0, std=0.0).tolist() == [2.0] * 3
    assert init.trunc_normal_(torch.empty(3), a=1.0, b=1.0).tolist() == [1.0] * 3
    far = init.trunc_normal_(torch.empty(1000, dtype=torch.float64), a=1000.0, b=1001.0)
    assert_law(far, stats.expon(1000.0, 1 / 1000.0))


# Fan-scaled laws


@pytest.mark.parametrize("shape", [(120, 250), (60, 20, 3, 3)])
@pytest.mark.parametrize(
    ("draw", "std"),
    [
        (lambda w: init.xavier_normal_(w, 1.5), lambda fi, fo: 1.5 * math.sqrt(2 / (fi + fo))),
        (lambda w: init.xavier_uniform_(w, 1.5), lambda fi, fo: 1.5 * math.sqrt(2 / (fi + fo))),
        (lambda w: init.kaiming_normal_(w), lambda fi, fo: math.sqrt(2 / fi)),
        (lambda w: init.kaiming_normal_(w, 1.0, "fan_out"), lambda fi, fo: math.sqrt(1 / fo)),
        (lambda w: init.kaiming_uniform_(w, math.sqrt(5)), lambda fi, fo: math.sqrt(1 / (3 * fi))),
        (
            lambda w: init.kaiming_uniform_(w, mode="fan_geo_avg", nonlinearity="silu"),
            lambda fi, fo: 1.676532 / (fi * fo) ** 0.25,
        ),
        (lambda w: init.kaiming_normal_(w, nonlinearity=torch.sin), lambda fi, fo: 1.520867 / math.sqrt(fi)),
        (lambda w: init.kaiming_normal_(w, nonlinearity="elu"), lambda fi, fo: 1.245198 / math.sqrt(fi)),
        (lambda w: init.lecun_normal_(w), lambda fi, fo: 1 / math.sqrt(fi)),
        (lambda w: init.lecun_uniform_(w), lambda fi, fo: 1 / math.sqrt(fi)),
        (lambda w: init.variance_scaling_(w, 3.0, "fan_avg", "normal"), lambda fi, fo: math.sqrt(6 / (fi + fo))),
        (lambda w: init.variance_scaling_(w, 3.0, "fan_avg", "uniform"), lambda fi, fo: math.sqrt(6 / (fi + fo))),
        (lambda w: init.variance_scaling_(w), lambda fi, fo: math.sqrt(1 / fi)),
        (lambda w: init.lecun_normal_(w, in_axes=0, out_axes=1), lambda fi, fo: 1 / math.sqrt(fo)),
    ],
)
def test_fan_scaled_std(shape, draw, std):
    tensor = draw(torch.empty(shape))
    field = math.prod(shape[2:])
    assert_std(tensor, std(shape[1] * field, shape[0] * field))


def test_laws_of_the_fan_scaled():
    shape, fan_in = (100, 300), 300
    bound = math.sqrt(6 / fan_in)
    assert_law(init.kaiming_uniform_(torch.empty(shape)), stats.uniform(-bound, 2 * bound))
    assert_law(init.kaiming_normal_(torch.empty(shape)), stats.norm(0, math.sqrt(2 / fan_in)))
    assert_law(init.xavier_uniform_(torch.empty(shape)), stats.uniform(-math.sqrt(6 / 400), 2 * math.sqrt(6 / 400)))
    assert_law(init.xavier_normal_(torch.empty(shape)), stats.norm(0, math.sqrt(2 / 400)))
    sigma = math.sqrt(1 / fan_in) / 0.8796256610342398
    assert_law(init.variance_scaling_(torch.empty(shape)), stats.truncnorm(-2, 2, 0, sigma))


def test_batch_axes_are_stacks_of_separate_weights():
    assert_std(init.lecun_normal_(torch.empty(16, 30, 60), batch_axes=0), 1 / math.sqrt(60))
    assert_std(init.lecun_normal_(torch.empty(16, 30, 60), in_axes=1, out_axes=2, batch_axes=(0,)), 1 / math.sqrt(30))


# The same weights at every dtype, layout and size

ELEMENTWISE = {
    "normal": lambda w: init.normal_(w, 0.1, 0.02),
    "uniform": lambda w: init.uniform_(w, -0.3, 0.7),
    "trunc_normal": lambda w: init.trunc_normal_(w, std=0.7, a=-1.0, b=1.3),
    "far": lambda w: init.trunc_normal_(w, a=8.0, b=9.0),
    "kaiming_uniform": lambda w: init.kaiming_uniform_(w, math.sqrt(5)),
}
MADE = {
    "sparse": lambda w: init.sparse_(w.view(w.shape[0], -1) if w.is_contiguous() else w, 0.3),
    "orthogonal": lambda w: init.orthogonal_(w),
}


def seeded(draw, tensor):
    torch.manual_seed(3)
    draw(tensor)
    return tensor


@pytest.mark.parametrize("law", [*ELEMENTWISE, *MADE])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_fp32_rounded_once(law, dtype):
    draw = {**ELEMENTWISE, **MADE}[law]
    assert seeded(draw, torch.empty(33, 65, dtype=dtype)).equal(seeded(draw, torch.empty(33, 65)).to(dtype))


@pytest.mark.parametrize("law", ELEMENTWISE)
def test_fp64_is_fp32_widened(law):
    draw = ELEMENTWISE[law]
    wide, narrow = seeded(draw, torch.empty(33, 65, dtype=torch.float64)), seeded(draw, torch.empty(33, 65))
    assert wide.float().equal(narrow)
    assert float((wide - narrow.double()).abs().max()) <= 6e-8, "clamped into the fp64 bounds, at most"


@pytest.mark.parametrize("law", [*ELEMENTWISE, "orthogonal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_layout_does_not_matter(law, dtype):
    draw = {**ELEMENTWISE, **MADE}[law]
    plain = seeded(draw, torch.empty(8, 6, 3, 5, dtype=dtype))
    layouts = {
        "channels_last": torch.empty(8, 6, 3, 5, dtype=dtype).contiguous(memory_format=torch.channels_last),
        "transposed": torch.empty(5, 6, 3, 8, dtype=dtype).transpose(0, 3),
        "strided": torch.empty(16, 6, 3, 10, dtype=dtype)[::2, :, :, ::2],
        "offset": torch.empty(9, 7, 3, 5, dtype=dtype)[1:, 1:],
    }
    for name, tensor in layouts.items():
        assert not tensor.is_contiguous()
        assert seeded(draw, tensor).equal(plain), name


def test_a_slice_leaves_its_surroundings_alone():
    whole = torch.zeros(6, 6)
    init.normal_(whole[1:3, 2:5])
    assert int((whole != 0).sum()) == 6
    assert bool((whole[1:3, 2:5] != 0).all())


@pytest.mark.parametrize("law", ["normal", "uniform", "trunc_normal", "far"])
def test_a_shorter_tensor_is_the_beginning_of_a_longer_one(law):
    draw = ELEMENTWISE[law]
    long = seeded(draw, torch.empty(40))
    for size in (1, 31, 32, 33):
        assert seeded(draw, torch.empty(size)).equal(long[:size])
    assert seeded(draw, torch.empty(5, 8)).flatten().equal(long)


def test_threads_do_not_matter():
    draws = (ELEMENTWISE["normal"], MADE["orthogonal"])
    many = [seeded(draw, torch.empty(300, 300)) for draw in draws]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert all(seeded(draw, torch.empty(300, 300)).equal(one) for draw, one in zip(draws, many, strict=True))
    finally:
        torch.set_num_threads(threads)


def test_flushed_denormals_do_not_matter():
    draws = {
        "normal": lambda w: init.normal_(w, std=1e-39),
        "half": lambda w: init.normal_(w, std=1e-6),
        "uniform": lambda w: init.uniform_(w, 0.0, 1e-40),
    }
    for name, draw in draws.items():
        dtype = torch.float16 if name == "half" else torch.float32
        kept = seeded(draw, torch.empty(4000, dtype=dtype))
        assert torch.set_flush_denormal(True)
        try:
            flushed = seeded(draw, torch.empty(4000, dtype=dtype))
        finally:
            torch.set_flush_denormal(False)
        bits = torch.int16 if name == "half" else torch.int32
        assert flushed.view(bits).equal(kept.view(bits)), name


# Complex, as torch defines it


def test_complex_normal_has_half_the_variance_in_each_part():
    tensor = init.normal_(torch.empty(300, 200, dtype=torch.complex64), std=2.0)
    for part in (tensor.real, tensor.imag):
        assert_law(part, stats.norm(0, math.sqrt(2)))
    theirs = torch.nn.init.normal_(torch.empty(300, 200, dtype=torch.complex64), std=2.0)
    assert abs(float(tensor.abs().square().mean()) / float(theirs.abs().square().mean()) - 1) < 0.03
    assert abs(float((tensor.real * tensor.imag).mean())) < SIGMAS * 2 / math.sqrt(tensor.numel())


def test_complex_uniform_has_each_part_in_the_bounds():
    tensor = init.uniform_(torch.empty(20_000, dtype=torch.complex128), 1.0, 3.0)
    for part in (tensor.real, tensor.imag):
        assert_law(part, stats.uniform(1, 2))


@pytest.mark.parametrize("name", ["xavier_normal_", "xavier_uniform_", "kaiming_normal_", "kaiming_uniform_"])
def test_complex_conventions_of_the_fan_scaled_are_torchs(name):
    def square(module):
        return float(getattr(module, name)(torch.empty(200, 300, dtype=torch.complex64)).abs().square().mean())

    assert abs(square(init) / square(torch.nn.init) - 1) < 0.03


def test_complex_truncated_and_sparse():
    tensor = init.trunc_normal_(torch.empty(20_000, dtype=torch.complex64), a=-0.5, b=1.0)
    for part in (tensor.real, tensor.imag):
        assert_law(part, stats.truncnorm(-0.5 * math.sqrt(2), math.sqrt(2), 0, math.sqrt(0.5)))
    sparse = init.sparse_(torch.empty(200, 100, dtype=torch.complex64), 0.25, std=1.0)
    assert (sparse == 0).sum(0).tolist() == [50] * 100
    for part in (sparse.real, sparse.imag):
        assert_law(part[sparse != 0], stats.norm(0, math.sqrt(0.5)))


def test_a_conjugate_view_is_written_through():
    base = torch.zeros(50, dtype=torch.complex64)
    init.normal_(base.conj())
    assert bool((base.imag != 0).all())


# Laws of whole tensors


def test_sparse_zeroes_the_same_number_in_every_column_at_random_places():
    tensor = init.sparse_(torch.empty(41, 300), sparsity=0.3, std=0.5)
    zeros = tensor == 0
    assert zeros.sum(0).tolist() == [math.ceil(0.3 * 41)] * 300
    assert_law(tensor[~zeros], stats.norm(0, 0.5))
    assert stats.chisquare(zeros.sum(1).numpy()).pvalue > ALPHA, "every row is hit alike"
    assert bool((init.sparse_(torch.empty(5, 5), 1.0) == 0).all())
    assert bool((init.sparse_(torch.empty(5, 5), 0.0) != 0).all())


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.bfloat16, torch.complex64, torch.float64])
def test_eye_and_dirac_are_torchs_in_every_dtype(dtype):
    for shape in ((3, 5), (5, 3), (4, 4)):
        assert init.eye_(torch.empty(shape, dtype=dtype)).equal(torch.nn.init.eye_(torch.empty(shape, dtype=dtype)))
    for shape, groups in (((6, 4, 3), 1), ((6, 2, 3, 4), 3), ((8, 3, 1, 2, 5), 2), ((6, 9, 3), 2)):
        theirs = torch.nn.init.dirac_(torch.empty(shape, dtype=dtype), groups)
        assert init.dirac_(torch.empty(shape, dtype=dtype), groups).equal(theirs)


def test_identity_has_its_gain():
    assert init.identity_(torch.empty(2, 3), -0.5).tolist() == [[-0.5, 0, 0], [0, -0.5, 0]]


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.complex128, torch.float32, torch.complex64, torch.bfloat16, torch.float16]
)
@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (8, 2, 3, 3), (20, 2, 3), (1, 5), (5, 1)])
def test_orthogonal_rows_or_columns(shape, dtype):
    gain = 1.7
    tensor = init.orthogonal_(torch.empty(shape, dtype=dtype), gain)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    matrix = tensor.to(wide).flatten(1)
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mH
    tolerance = {torch.float64: 1e-14, torch.complex128: 1e-14, torch.float32: 1e-6, torch.complex64: 1e-6}.get(dtype, 3e-2)
    assert torch.allclose(matrix @ matrix.mH, gain**2 * torch.eye(matrix.shape[0], dtype=wide), atol=tolerance * gain**2)


def test_orthogonal_is_haar():
    """Of O(n): an entry² is Beta(½, (n − 1)/2), signs are random, det is ±1 alike, E tr² = 1 (plain QR gives more)."""
    n, count = 5, 4000
    stack = torch.stack([init.orthogonal_(torch.empty(n, n, dtype=torch.float64)) for _ in range(count)])
    for entry in (stack[:, 0, 0], stack[:, 2, 4], stack[:, 4, 4]):
        assert stats.kstest(entry.square().numpy(), stats.beta(0.5, (n - 1) / 2).cdf).pvalue > ALPHA
        assert abs(float(entry.mean())) < SIGMAS / math.sqrt(n * count)
    trace = torch.diagonal(stack, dim1=1, dim2=2).sum(1)
    assert abs(float(trace.mean())) < SIGMAS / math.sqrt(count)
    assert abs(float(trace.square().mean()) - 1) < SIGMAS * math.sqrt(2 / count)
    assert abs(float(torch.linalg.det(stack).mean())) < SIGMAS / math.sqrt(count)


def test_complex_orthogonal_is_haar_in_the_unitary_group():
    """Of U(n): an |entry|² is Beta(1, n − 1), phases are uniform, det is uniform on the circle, E|tr|² = 1."""
    n, count = 4, 3000
    stack = torch.stack([init.orthogonal_(torch.empty(n, n, dtype=torch.complex128)) for _ in range(count)])
    circle = stats.uniform(-math.pi, 2 * math.pi).cdf
    for entry in (stack[:, 0, 0], stack[:, 1, 3], stack[:, 3, 3]):
        assert stats.kstest(entry.abs().square().numpy(), stats.beta(1, n - 1).cdf).pvalue > ALPHA
        assert stats.kstest(entry.angle().numpy(), circle).pvalue > ALPHA
    assert stats.kstest(torch.linalg.det(stack).angle().numpy(), circle).pvalue > ALPHA
    trace = torch.diagonal(stack, dim1=1, dim2=2).sum(1)
    assert abs(float(trace.abs().square().mean()) - 1) < SIGMAS / math.sqrt(count)
