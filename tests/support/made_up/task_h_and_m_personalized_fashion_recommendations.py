from pathlib import Path

import numpy as np
import pandas as pd


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Twelve weeks of purchases of a hundred customers. Article ids begin with 0; some have no picture."""
    customers = [f"{number:04x}{random.integers(2**32):060x}" for number in range(100)]
    articles = [f"0{108775015 + 911 * number}" for number in range(30)]
    days = pd.Timestamp("2020-07-01") + pd.to_timedelta(np.sort(random.integers(0, 84, 1500)), unit="D")
    bought = pd.DataFrame(
        {
            "t_dat": days.strftime("%Y-%m-%d"),
            "customer_id": random.choice(customers, 1500),
            "article_id": random.choice(articles, 1500),
            "price": random.uniform(0.001, 0.1, 1500),
            "sales_channel_id": random.integers(1, 3, 1500),
        }
    )
    bought.to_csv(folder / "transactions_train.csv", index=False)
    kinds = pd.DataFrame({"article_id": articles, "prod_name": "Strap top", "colour_group_name": "Black"})
    kinds.to_csv(folder / "articles.csv", index=False)
    people = pd.DataFrame(
        {"customer_id": customers, "FN": "", "Active": "", "age": 24, "postal_code": "52043e"}
    )
    people.to_csv(folder / "customers.csv", index=False)
    for article in articles[3:]:
        path = folder / f"images/{article[:3]}/{article}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.bytes(24))
    sample = pd.DataFrame({"customer_id": customers, "prediction": " ".join(articles[:12])})
    sample.to_csv(folder / "sample_submission.csv", index=False)
