from holdfast.compat.deva import DataSource, DataSourceManager, DataSourceType

# 创建数据源管理器
manager = DataSourceManager()

# 创建定时数据源
source = DataSource(
    name="my_data_source",
    source_type=DataSourceType.TIMER,
    description="我的数据源",
    data_func_code='''
import pandas as pd
import time

def fetch_data():
    return pd.DataFrame({
        'timestamp': [time.time()],
        'value': [42]
    })
''',
    interval=5.0,
    auto_start=False
)

# 注册数据源（自动保存到数据库）
manager.register(source)

# 启动数据源（自动保存运行状态）
source.start()

# 停止数据源（自动保存停止状态）
source.stop()
