"""BERT-type encoders, post-norm, at a fixed sequence length.

All sequences are taken at full length, so no attention mask is needed and one
tensor crosses between layers. The one model input is the int32 token ids;
position and segment follow from them.
"""

from graph import Net

VOCABULARY = 30522
POSITIONS = 512


def bert(layers, width, heads, ffn, tokens, task, segments=True):
    """`task`: "span" (start and end logits a token, no pooler) or "pair"
    (pooler and three classes). DistilBERT has no segment table."""
    net = Net((tokens,))
    net.scope = "embeddings"
    parts = [net.embedding(net.input, VOCABULARY, width),
             net.embedding(net.input, POSITIONS, width)]  # fmt: skip
    if segments:
        parts.append(net.embedding(net.input, 2, width))
    x = net.norm(net.add(*parts))
    for i in range(layers):
        net.scope = f"layer{i}.attention"
        q, k, v = (net.linear(x, width) for _ in range(3))
        x = net.norm(net.add(x, net.linear(net.attention(q, k, v, heads), width)))
        net.scope = f"layer{i}.ffn"
        y = net.unary("gelu", net.linear(x, ffn))
        x = net.norm(net.add(x, net.linear(y, width)))
    net.scope = "head"
    if task == "span":
        net.linear(x, 2)
    else:
        pooled = net.linear(net.first_token(x), width)
        net.linear(net.unary("elementwise", pooled), 3)
    return net
